"""Measurements: a backend's speed, and contests with other programs."""
