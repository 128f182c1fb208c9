"""Hypercolumns: the activations of all layers, and the pixel, at one position of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ....core.interfaces.backend import Features
from ....core.interfaces.terms import IMAGE_LAYER, Region
from ..statistics.sums import TINY

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def draw_positions(
    size: tuple[int, int], count: int, generator: torch.Generator, region: Region
) -> Tensor:
    """Draw at most `count` different pixels of an image of a size (height, width).

    Returns their rows and columns (P, 2). In a region a pixel is drawn with a probability that is
    proportional to its weight, and never where that is zero. Pixels are drawn on the CPU, so that a
    seed gives the same ones on every device.
    """
    import torch

    # The smallest of exponential variables with rates w are a sample without replacement by w.
    keys = torch.empty(size[0] * size[1]).exponential_(generator=generator).clamp_min(TINY)
    if region:
        keys = keys / region[IMAGE_LAYER].flatten().cpu()
    smallest = keys.topk(min(count, len(keys)), largest=False)
    pixels = smallest.indices[smallest.values.isfinite()]
    return torch.stack([pixels // size[1], pixels % size[1]], 1)


def hypercolumns(
    features: Features, factors: Mapping[str, float], positions: Tensor, region: Region
) -> Tensor:
    """Return the hypercolumns (N, P, C) at the pixels (P, 2) of an image.

    Each layer of `factors` is multiplied by its factor, and interpolated bilinearly at the centers
    of the pixels. In a region, an activation counts by its weight as well.
    """
    import torch

    size = torch.tensor(features[IMAGE_LAYER].shape[2:])
    parts = [
        factor * interpolated(features[layer], positions, size, region.get(layer))
        for layer, factor in factors.items()
    ]
    return torch.cat(parts, 1).mT


def pixels(features: Features, positions: Tensor, region: Region) -> Tensor:
    """Return the colors (N, P, 3) of the pixels (P, 2) of an image, as they are."""
    return hypercolumns(features, {IMAGE_LAYER: 1.0}, positions, region)


def interpolated(
    maps: Tensor, positions: Tensor, size: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return maps (N, C, H, W) at the pixels (P, 2) of an image of a size (2): (N, C, P).

    The interpolation is bilinear. `weights` (1, 1, H, W) multiply its own ones, which then add up
    to 1 again; where all are zero, the result is zero.
    """
    import torch

    sides = torch.tensor(maps.shape[2:])
    points = (positions.double() + 0.5) * sides / size - 0.5
    points = points.clamp(torch.zeros(2), sides - 1)
    first = points.floor()
    part = points - first
    second = torch.minimum(first + 1, sides - 1)
    corners = [
        ((row * sides[1] + column).long().to(maps.device), (down * along).to(maps))
        for row, down in ((first[:, 0], 1 - part[:, 0]), (second[:, 0], part[:, 0]))
        for column, along in ((first[:, 1], 1 - part[:, 1]), (second[:, 1], part[:, 1]))
        if down.any() and along.any()
    ]
    if weights is not None:
        flat_weights = weights.to(maps).flatten()
        corners = [(index, share * flat_weights[index]) for index, share in corners]
        total = torch.stack([share for _, share in corners]).sum(0).clamp_min(TINY)
        corners = [(index, share / total) for index, share in corners]
    flat = maps.flatten(2)
    values = [flat[:, :, index] * share for index, share in corners]
    return torch.stack(values).sum(0) if len(values) > 1 else values[0]


def factors_of(features: Features, weights: Mapping[str, float]) -> dict[str, float]:
    """Return the factors of pixels and layers, by the layers' weights and an image's features.

    Equal weights keep the proportions of the layers' activations. The mean square of all those of
    the image is then 1, whatever the network's units.
    """
    mean = sum(weights.values()) / len(weights)
    squares = {layer: features[layer].square() for layer in weights if layer != IMAGE_LAYER}
    energy = sum(
        (weights[layer] / mean) ** 2 * square.sum(1).mean().item()
        for layer, square in squares.items()
    )
    channels = sum(square.shape[1] for square in squares.values())
    unit = (energy / channels) ** 0.5 if energy > TINY else 1.0
    return {
        IMAGE_LAYER: weights.get(IMAGE_LAYER, mean) / mean,
        **{layer: weights[layer] / mean / unit for layer in squares},
    }
