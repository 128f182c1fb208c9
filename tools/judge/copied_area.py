"""Copied area: the part of a picture whose nearest style patches lie at one common offset.

A painted picture takes its patches from all over the style image; an object that is pasted takes
neighbouring patches from neighbouring places. Patches are 3x3 positions of relu4_1, compared by the
mean cosine of their activations, each image's centred by its own mean as in nearest-neighbour style
transfer (Kolkin et al. 2022). Connected positions whose offsets agree within one position count as
copied if there are enough of them, and if they are like the style image's: in flat or regular
areas, unlike patches have a common offset by chance.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .pictures import Picture

_LAYER = "relu4_1"
#: Least positions of a connected area. The patches of 5x5 positions see 140 px, half as much again
#: as a position of relu4_1, of which every picture in the style has some that it may share.
_LEAST_POSITIONS = 25
#: Least mean cosine of a connected area. Measured at 320 px: 0.3 to 0.48 in areas of photographs,
#: 0.6 to 0.7 in those of results in which the eye sees the painting.
_LEAST_COSINE = 0.5
#: Difference of two offsets, in positions along each axis, up to which they agree.
_TOLERANCE = 1


def copied_area(picture: Picture, style: Picture) -> float:
    """Return the copied part of a picture, in [0, 1]."""
    units, style_units = _unit(picture.features[_LAYER]), _unit(style.features[_LAYER])
    nearest = _nearest_patches(units, style_units)
    rows, columns = nearest
    cosines = (units * style_units[:, rows, columns]).sum(0)
    return copied_positions(nearest, cosines).float().mean().item()


def copied_positions(nearest: Tensor, cosines: Tensor) -> Tensor:
    """Return which positions are copied, bool (H, W).

    `nearest` has the row and the column of each position's nearest style patch, (2, H, W), and
    `cosines` (H, W) how alike the two positions are.
    """
    height, width = cosines.shape
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    offsets = nearest - torch.stack((rows, columns))
    copied = torch.zeros(height, width, dtype=torch.bool)
    for offset in _common(offsets):
        agrees = ((offsets - offset[:, None, None]).abs() <= _TOLERANCE).all(0)
        copied |= _large_areas(agrees, cosines)
    return copied


def _nearest_patches(units: Tensor, style_units: Tensor) -> Tensor:
    """Return the position (row, column) of the nearest style patch, (2, H, W), int64.

    Both images have activations of length 1, (C, H, W) and (C, H', W'). The memory is that of a few
    rows of similarities, (W, H', W') each.
    """
    height, width = units.shape[1:]
    style_size = style_units.shape[1:]

    def similarities(row: int) -> Tensor:
        """Return the cosines of a row's positions and all style positions, framed by -1."""
        products = units[:, row].T @ style_units.flatten(1)
        return functional.pad(products.view(width, *style_size), (1, 1, 1, 1, 1, 1), value=-1.0)

    outside = similarities(0).new_full((width + 2, style_size[0] + 2, style_size[1] + 2), -1.0)
    above, here = outside, similarities(0)
    rows = []
    for row in range(height):
        below = similarities(row + 1) if row + 1 < height else outside
        total = torch.zeros(width, *style_size)
        for down, of_row in enumerate((above, here, below)):
            for across in range(3):
                total += of_row[
                    across : across + width,
                    down : down + style_size[0],
                    across : across + style_size[1],
                ]
        rows.append(total.flatten(1).argmax(1))
        above, here = here, below
    best = torch.stack(rows)
    return torch.stack((best // style_size[1], best % style_size[1]))


def _common(offsets: Tensor) -> Tensor:
    """Return the offsets (K, 2) with which enough positions agree for an area."""
    values, counts = torch.unique(offsets.flatten(1), dim=1, return_counts=True)
    agree = ((values[:, :, None] - values[:, None]).abs() <= _TOLERANCE).all(0)
    common: Tensor = values.T[agree.long() @ counts >= _LEAST_POSITIONS]
    return common


def _large_areas(mask: Tensor, cosines: Tensor) -> Tensor:
    """Return the 4-connected areas of a mask (H, W) that are large and alike enough."""
    labels = torch.arange(1, mask.numel() + 1).view(mask.shape) * mask
    while True:
        framed = functional.pad(labels, (1, 1, 1, 1))
        neighbours = (framed[1:-1, :-2], framed[1:-1, 2:], framed[:-2, 1:-1], framed[2:, 1:-1])
        spread = torch.stack((labels, *neighbours)).amax(0) * mask
        if torch.equal(spread, labels):
            break
        labels = spread
    sizes = torch.bincount(labels.flatten(), minlength=mask.numel() + 1)
    sums = torch.bincount(labels.flatten(), cosines.flatten(), minlength=mask.numel() + 1)
    kept = (sizes >= _LEAST_POSITIONS) & (sums >= _LEAST_COSINE * sizes)
    return mask & kept[labels]


def _unit(features: Tensor) -> Tensor:
    """Return activations (C, H, W) without their mean, of length 1 at each position."""
    return functional.normalize(features - features.mean((1, 2), keepdim=True), dim=0)
