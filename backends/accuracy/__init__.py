"""Measures of accuracy: the float64 reference, distances between tensors."""
