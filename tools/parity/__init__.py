"""Parity: the distance of a backend from a reference, on fixed images."""
