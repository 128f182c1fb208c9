"""How much of the style loss each style has, by its weight and by the area that it is given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .masks import resized

#: Side of the grid on which areas are measured.
_GRID = 256


def shares_of(claims: Sequence[tuple[float, Tensor | None]]) -> tuple[list[float], float]:
    """Of each (weight, mask; None: everywhere), weight times area over the sum of all, so that they
    add up to 1; and the part of the picture that the masks cover together, at most 1.

    The loss in a region is a mean over its positions, so that with share times covered area as its
    factor a style pulls at each pixel of its region as hard as it would at the whole picture
    without a mask. Some weight must be above 0.
    """
    largest = max(weight for weight, _ in claims)
    grids = [None if mask is None else resized(mask, _GRID, _GRID) for _, mask in claims]
    parts = [
        weight / largest * (1.0 if grid is None else grid.double().mean().item())
        for (weight, _), grid in zip(claims, grids, strict=True)
    ]
    return [part / sum(parts) for part in parts], _covered(grids)


def _covered(grids: Sequence[Tensor | None]) -> float:
    together = torch.zeros(_GRID, _GRID)
    for grid in grids:
        if grid is None:
            return 1.0
        together += grid
    return together.clamp_max_(1).double().mean().item()
