"""The vjp of padding that repeats what is there: replicate, reflect, circular."""

from __future__ import annotations

import torch
from torch import Tensor


def unpadded(gradient: Tensor, padding: tuple[int, ...], mode: str) -> Tensor:
    """From the gradient (N, C, H + 2 p, W + 2 q) of a padded map, which may be overwritten, to that
    of the map (N, C, H, W), for `padding` (p, q) in one of the modes of `torch.nn.Conv2d`.

    Each position gets what its copies in the padding got, direction by direction.
    """
    for axis, pad in zip((2, 3), padding, strict=True):
        size = gradient.shape[axis] - 2 * pad
        inside = gradient.narrow(axis, pad, size)
        for place in (*range(pad), *range(pad + size, 2 * pad + size)):
            source = _source(place - pad, size, mode)
            inside.select(axis, source).add_(gradient.select(axis, place))
        gradient = inside
    layout = torch.channels_last if _is_channels_last(gradient) else torch.contiguous_format
    return gradient.contiguous(memory_format=layout)


def _source(position: int, size: int, mode: str) -> int:
    """What the padding repeats at a position outside of 0 .. size - 1."""
    match mode:
        case "replicate":
            return min(max(position, 0), size - 1)
        case "reflect":
            return abs(position) if position < size else 2 * (size - 1) - position
        case _:
            return position % size


def _is_channels_last(value: Tensor) -> bool:
    return value.stride(1) == 1
