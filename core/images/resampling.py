"""Resampling images between the scales of a run."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

from torch import Tensor
from torch.nn import functional

#: Pixels of the opposite edge, at least, that a resampling sees: more than its filter reaches.
_MARGIN = 8


def resized(image: Tensor, size: Sequence[int], wraps: bool) -> Tensor:
    """(N, 3, H, W) at another size (height, width), bicubic with an antialiasing filter; with
    `wraps` as if it continued at the opposite edges. On the CPU: not every device has this filter,
    and it is done once a scale."""
    old = image.shape[2], image.shape[3]
    rows, columns = (_margin(*sides) if wraps else 0 for sides in zip(old, size, strict=True))
    framed = functional.pad(image.cpu(), (columns, columns, rows, rows), mode="circular")
    top, left = rows * size[0] // old[0], columns * size[1] // old[1]
    whole = (size[0] + 2 * top, size[1] + 2 * left)
    resampled = functional.interpolate(framed, whole, mode="bicubic", antialias=True)
    return resampled[:, :, top : top + size[0], left : left + size[1]].to(image.device)


def _margin(old: int, new: int) -> int:
    """As many pixels of the old size as make whole ones of the new size."""
    unit = old // gcd(old, new)
    return min(old, unit * -(-_MARGIN // unit))
