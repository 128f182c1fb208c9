"""Arithmetic on sizes in pixels: fitting, the pyramid of scales, tiles. Needs no torch."""
