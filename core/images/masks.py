"""Masks: where in an image something counts, and how much.

A mask is a tensor (H, W), float32 in [0, 1] or bool, of any size: it is stretched over its image.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..errors import ImageError
from ..interfaces.source_image import SourceImage
from ..interfaces.terms import Region


def mask_of(image: SourceImage) -> Tensor:
    """A mask from an image: white counts, black does not, grays count in part. Of an image in one
    color, transparency is the mask; else what is transparent counts as black.

    Raises ImageError for one that is all black.
    """
    light = image.rgb.convert("L")
    values = torch.from_numpy(np.array(light)).float().div_(255)
    lowest, highest = light.getextrema()
    if image.alpha is not None:
        alpha = torch.from_numpy(np.array(image.alpha)).float().div_(255)
        values = alpha if lowest == highest else values * alpha
    if not values.any():
        raise ImageError(
            f"{image.path}: the mask is all black, so nothing is selected; white is what counts"
        )
    return values


def resized(mask: Tensor, height: int, width: int) -> Tensor:
    """(height, width): each element is the mean of the mask over the cell that it stands for, with
    pixels that lie across the cell's border counted in part. So a position of a layer belongs to a
    region as far as its cell lies in it, masks that add up to 1 still do, and nothing that is thin
    is lost."""
    rows, columns = _overlaps(mask.shape[0], height), _overlaps(mask.shape[1], width)
    return (rows @ mask.float() @ columns.T).clamp_(0, 1)


def _overlaps(pixels: int, cells: int) -> Tensor:
    """(cells, pixels): the part of each cell that each pixel covers. In whole numbers up to the
    last division, so that a border on a border is one exactly."""
    pixel, cell = torch.arange(pixels), torch.arange(cells).unsqueeze(1)
    first = torch.maximum(pixel * cells, cell * pixels)
    last = torch.minimum((pixel + 1) * cells, (cell + 1) * pixels)
    return (last - first).clamp_min_(0).float() / pixels


def region_of(
    mask: Tensor | None, sizes: Mapping[str, tuple[int, int]], device: torch.device
) -> Region:
    """The mask at each layer, whose maps have these sizes (height, width), on the device."""
    if mask is None:
        return {}
    return {layer: resized(mask, *size)[None, None].to(device) for layer, size in sizes.items()}
