"""Margins of style images, such as those of scans: found, or stated, and left out."""
