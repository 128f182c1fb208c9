"""Formats of image files: bytes to 8-bit pixels, by Pillow or by tifffile, within limits."""
