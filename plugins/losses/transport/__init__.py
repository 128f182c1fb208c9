"""Hypercolumns at positions that are drawn, and the distances of STROTSS between them."""
