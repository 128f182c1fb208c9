"""Luma: the brightness of sRGB-encoded pixels."""

from __future__ import annotations

from torch import Tensor

#: Coefficients of R, G and B in Y of YIQ, which is also Pillow's mode "L".
LUMA = (0.299, 0.587, 0.114)


def luma(image: Tensor) -> Tensor:
    """Return Y of YIQ (N, 1, H, W) of an RGB image (N, 3, H, W)."""
    return (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
