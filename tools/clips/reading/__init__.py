"""Clips as frames: videos, animated images, numbered images."""
