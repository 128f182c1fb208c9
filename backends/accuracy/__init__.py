"""Measures of accuracy: the float64 reference, finite differences, the check of a network."""
