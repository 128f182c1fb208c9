"""Edges of the content image that a result keeps: F1 of edges at three widths, within 2 px.

Edges are maxima of the gradient of luma along its direction, after a Gaussian filter (Canny 1986).
The measure of agreement is that of contour detection (Martin, Fowlkes and Malik 2004), with a
square neighbourhood in place of their assignment, and for edges of about the same direction.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ...core.images.luma import luma
from .pictures import Picture

#: Standard deviations of the filters, in pixels.
_SIGMAS = (1.0, 2.0, 4.0)
#: Distance in pixels up to which two edges agree, and directions, of 180 degrees, of which those
#: side by side agree.
_TOLERANCE, _DIRECTIONS = 2, 8
#: An edge has at least this gradient, in standard deviations of luma for each `sigma` pixels.
_LEAST_GRADIENT = 0.15


def edge_agreement(picture: Picture, content: Picture) -> float:
    """Return the mean over the widths of F1, in [0, 1]: 1 if all edges agree.

    Luma is divided by its standard deviation in each picture, so that the contrast of the palette
    does not count.
    """
    light, content_light = _standardised(picture), _standardised(content)
    agreements = [_f1(_edges(light, sigma), _edges(content_light, sigma)) for sigma in _SIGMAS]
    return sum(agreements) / len(agreements)


def _standardised(picture: Picture) -> Tensor:
    light = luma(picture.image)
    return (light - light.mean()) / light.std().clamp_min(1 / 255)


def _edges(light: Tensor, sigma: float) -> Tensor:
    """Return where luma (1, 1, H, W) has an edge of each direction, as bool (1, D, H, W)."""
    framed = functional.pad(blurred(light, sigma), (1, 1, 1, 1), mode="replicate")
    across = (framed[..., 1:-1, 2:] - framed[..., 1:-1, :-2]) * (sigma / 2)
    down = (framed[..., 2:, 1:-1] - framed[..., :-2, 1:-1]) * (sigma / 2)
    strength = (across.square() + down.square()).sqrt()
    angle = torch.atan2(down, across) / math.pi
    edges = _maxima(strength, angle) & (strength > _LEAST_GRADIENT)
    direction = (_DIRECTIONS * angle).round().long() % _DIRECTIONS
    return edges & (direction == torch.arange(_DIRECTIONS).view(1, -1, 1, 1))


def _maxima(strength: Tensor, angle: Tensor) -> Tensor:
    """Return where the gradient is largest along its direction, of the four through neighbours."""
    framed = functional.pad(strength, (1, 1, 1, 1))
    height, width = strength.shape[2:]

    def beside(rows: int, columns: int) -> Tensor:
        return framed[..., 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    sector = (4 * angle).round().long() % 4
    maxima = torch.zeros_like(strength, dtype=torch.bool)
    for number, (rows, columns) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        above = (strength >= beside(rows, columns)) & (strength > beside(-rows, -columns))
        maxima |= (sector == number) & above
    return maxima


def _f1(edges: Tensor, target: Tensor) -> float:
    """Return the harmonic mean of precision and recall; 1 if neither picture has an edge."""
    if not edges.any() or not target.any():
        return float(bool(edges.any()) == bool(target.any()))
    precision, recall = _part_near(edges, target), _part_near(target, edges)
    return 2 * precision * recall / max(precision + recall, 1e-12)


def _part_near(edges: Tensor, others: Tensor) -> float:
    """Return the part of the edges that have one of the others near, of about their direction."""
    side = 2 * _TOLERANCE + 1
    near = functional.max_pool2d(others.float(), side, stride=1, padding=_TOLERANCE) > 0
    near = near | near.roll(1, dims=1) | near.roll(-1, dims=1)
    return ((edges & near).sum() / edges.sum()).item()


def blurred(light: Tensor, sigma: float) -> Tensor:
    """Return luma (1, 1, H, W) after a Gaussian filter; the border is repeated outwards."""
    reach = math.ceil(3 * sigma)
    offsets = torch.arange(-reach, reach + 1, dtype=light.dtype)
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    kernel /= kernel.sum()
    framed = functional.pad(light, (reach, reach, reach, reach), mode="replicate")
    rows = functional.conv2d(framed, kernel.view(1, 1, 1, -1))
    return functional.conv2d(rows, kernel.view(1, 1, -1, 1))
