"""Videos: frames from a clip, painted one after the other, and written to a file."""
