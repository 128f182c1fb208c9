"""Luma: the brightness of sRGB-encoded pixels."""

from __future__ import annotations

from torch import Tensor

#: Y of YIQ in R, G and B, which is also what Pillow's mode "L" holds.
LUMA = (0.299, 0.587, 0.114)


def luma(image: Tensor) -> Tensor:
    """Y of YIQ, (N, 1, H, W), of an RGB image (N, 3, H, W)."""
    return (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
