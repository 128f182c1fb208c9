"""Resampling of images between the scales of a run."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

from torch import Tensor
from torch.nn import functional

#: Least number of pixels beyond an edge, taken from the opposite one: more than the filter reaches.
_MARGIN = 8


def resized(image: Tensor, size: Sequence[int], wraps: bool) -> Tensor:
    """Return an image (N, 3, H, W) at another size (height, width), on its device.

    The interpolation is bicubic with an antialiasing filter; with `wraps`, as if the image
    continued at its opposite edges. It is computed on the CPU: not every device has this filter,
    and it runs once a scale.
    """
    old = image.shape[2], image.shape[3]
    rows, columns = (_margin(*sides) if wraps else 0 for sides in zip(old, size, strict=True))
    framed = functional.pad(image.cpu(), (columns, columns, rows, rows), mode="circular")
    top, left = rows * size[0] // old[0], columns * size[1] // old[1]
    framed_size = (size[0] + 2 * top, size[1] + 2 * left)
    resampled = functional.interpolate(framed, framed_size, mode="bicubic", antialias=True)
    return resampled[:, :, top : top + size[0], left : left + size[1]].to(image.device)


def _margin(old: int, new: int) -> int:
    """Return a width in pixels of the old size that is a whole number of the new size's."""
    unit = old // gcd(old, new)
    return min(old, unit * -(-_MARGIN // unit))
