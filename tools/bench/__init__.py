"""Measurements of backends' speed, and contests with other programs."""
