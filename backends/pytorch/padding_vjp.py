"""The vjp of padding that repeats values of the map: replicate, reflect, circular."""

from __future__ import annotations

import torch
from torch import Tensor


def unpadded(gradient: Tensor, padding: tuple[int, ...], mode: str) -> Tensor:
    """Return the gradient of a map (N, C, H, W) from that of the padded map.

    The latter is (N, C, H + 2 p, W + 2 q), for `padding` (p, q) in one of the modes of
    `torch.nn.Conv2d`; it may be overwritten. The gradients of a position's copies in the padding
    are added to its own, axis by axis.
    """
    for axis, pad in zip((2, 3), padding, strict=True):
        size = gradient.shape[axis] - 2 * pad
        inside = gradient.narrow(axis, pad, size)
        for position in (*range(pad), *range(pad + size, 2 * pad + size)):
            source = _source(position - pad, size, mode)
            inside.select(axis, source).add_(gradient.select(axis, position))
        gradient = inside
    layout = torch.channels_last if _is_channels_last(gradient) else torch.contiguous_format
    return gradient.contiguous(memory_format=layout)


def _source(position: int, size: int, mode: str) -> int:
    """Return the position that the padding repeats at a position outside of 0 .. size - 1."""
    match mode:
        case "replicate":
            return min(max(position, 0), size - 1)
        case "reflect":
            return abs(position) if position < size else 2 * (size - 1) - position
        case _:
            return position % size


def _is_channels_last(value: Tensor) -> bool:
    return value.stride(1) == 1
