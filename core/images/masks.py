"""Masks: the weight of each pixel of an image.

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
    """Return the mask of an image: white is 1, black is 0, grays are in between.

    Of an image in one color, the opacity is the mask; else transparent pixels count as black.
    Raises ImageError for a mask that is all black.
    """
    light = image.rgb.convert("L")
    values = torch.from_numpy(np.array(light)).float().div_(255)
    lowest, highest = light.getextrema()
    if image.alpha is not None:
        alpha = torch.from_numpy(np.array(image.alpha)).float().div_(255)
        values = alpha if lowest == highest else values * alpha
    if not values.any():
        raise ImageError(
            f"{image.path}: the mask is all black, so it selects nothing; white pixels are selected"
        )
    return values


def resized(mask: Tensor, height: int, width: int) -> Tensor:
    """Return the mask at (height, width): each element is the mean of the mask over its cell.

    Pixels that lie across a cell's border count in part. So a position of a layer belongs to a
    region as far as its cell lies in it, masks that add up to 1 still do, and thin regions are not
    lost.
    """
    rows, columns = _overlaps(mask.shape[0], height), _overlaps(mask.shape[1], width)
    return (rows @ mask.float() @ columns.T).clamp_(0, 1)


def _overlaps(pixels: int, cells: int) -> Tensor:
    """Return the part of each cell that each pixel covers, (cells, pixels).

    Computed in integers up to the last division, so that borders that coincide do so exactly.
    """
    pixel, cell = torch.arange(pixels), torch.arange(cells).unsqueeze(1)
    first = torch.maximum(pixel * cells, cell * pixels)
    last = torch.minimum((pixel + 1) * cells, (cell + 1) * pixels)
    return (last - first).clamp_min_(0).float() / pixels


def region_of(
    mask: Tensor | None, sizes: Mapping[str, tuple[int, int]], device: torch.device
) -> Region:
    """Return the mask at each layer, whose maps have these sizes (height, width), on the device."""
    if mask is None:
        return {}
    return {layer: resized(mask, *size)[None, None].to(device) for layer, size in sizes.items()}
