"""Border: the step in color between a picture's outermost pixels and those inside."""

from __future__ import annotations

import torch
from torch import Tensor

from .pictures import Picture

#: Width in pixels of the outer ring; the inner one lies between these distances from the edge.
_OUTER, _INNER = 8, (16, 32)
#: Length in pixels of the parts of a side that are compared.
_PART = 32


def border_step(picture: Picture, _ground: Picture) -> float:
    """Return the mean distance in color between the outer 8 px and those 16 to 32 px inside.

    It is the root mean square over R, G and B, in levels of 255, in each stretch of 32 px along
    the four sides, and then the mean over all.
    """
    image = 255 * picture.image[0]
    sides = (image, image.flip(1), image.mT, image.mT.flip(1))
    return torch.cat([_steps(side) for side in sides]).mean().item()


def _steps(image: Tensor) -> Tensor:
    """Return the steps along the top of an image (3, H, W)."""
    width = image.shape[2] - image.shape[2] % _PART
    parts = image[:, : _INNER[1], :width].reshape(3, _INNER[1], -1, _PART).mean(3)
    difference = parts[:, :_OUTER].mean(1) - parts[:, _INNER[0] :].mean(1)
    steps: Tensor = difference.square().mean(0).sqrt()
    return steps
