"""Checkpoints: unfinished runs on disk, from which later processes go on to the same pixels."""
