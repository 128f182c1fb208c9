"""Shares of the styles in the style loss, by their weights and by the areas of their masks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .masks import resized

#: Side of the grid on which areas are measured.
_GRID = 256


def shares_of(weighted: Sequence[tuple[float, Tensor | None]]) -> tuple[list[float], float]:
    """Return the share of each (weight, mask), and the part of the result that the masks cover.

    A mask of None is the whole result. A share is weight times area over the sum of these products,
    so that the shares add up to 1; the covered part is at most 1. Some weight must be above 0.

    The loss in a region is a mean over its positions. With share times covered part as its factor,
    its gradient at each pixel of the region is as large as it would be for the whole result without
    a mask.
    """
    largest = max(weight for weight, _ in weighted)
    grids = [None if mask is None else resized(mask, _GRID, _GRID) for _, mask in weighted]
    parts = [
        weight / largest * (1.0 if grid is None else grid.double().mean().item())
        for (weight, _), grid in zip(weighted, grids, strict=True)
    ]
    return [part / sum(parts) for part in parts], _covered(grids)


def _covered(grids: Sequence[Tensor | None]) -> float:
    total = torch.zeros(_GRID, _GRID)
    for grid in grids:
        if grid is None:
            return 1.0
        total += grid
    return total.clamp_max_(1).double().mean().item()
