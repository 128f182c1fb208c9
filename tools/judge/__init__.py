"""Scores of results beside those of their photograph and their painting, by formulas and VGG-19."""
