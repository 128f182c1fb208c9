"""Frames as clips: videos, animated images, numbered images, and what a video copies."""
