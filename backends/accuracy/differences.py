"""Finite differences: a reference for gradients that no other backend computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...core.interfaces.backend import FeatureBackend, Features

#: Steps of the central differences, in pixel values. Rounding moves a slope by 1e-7 / step
#: (measured: 1e-3 at 1e-4, with networks without kinks). A share of the rectifiers that grows with
#: the step switches on the way, which moves it by the square root of that share (measured: 3 % at
#: 1e-3, 1 to 4 % at 1e-4, with ten networks of torchvision).
STEPS: Sequence[float] = (1e-3, 1e-4, 3e-5, 1e-5)

#: Random directions in which slopes are compared; in one alone an error may not show.
_DIRECTIONS = 4

#: Largest distance of a right gradient in float32. The largest that was measured is 0.057, with
#: VGG-19, ResNet-50 and eight other networks of torchvision. A network with a branch too few is off
#: by tens of percents.
TOLERANCE = 0.1


def gradient_distances(backend: FeatureBackend, image: Tensor) -> Mapping[str, float]:
    """Return the relative distance of each layer's gradient from finite differences, in float32.

    A layer's loss is its inner product with random numbers c. Its slope in a random direction u is
    (c, F(x + h u) - F(x - h u)) / 2h by differences of the features, and (g, u) by the backend's
    gradient g. The distance is the norm of their differences over the directions, relative to the
    norm of the slopes: that of the differences, or that of a gradient as long as g, if it is
    larger. Of the steps h the best counts. A large one crosses kinks, as those of rectifiers, a
    small one is lost in rounding; a wrong gradient is wrong with each. With numbers of 11 bits and
    less, no step is right: correct gradients of ResNet-50 are off by 0.3 to 0.9.
    """
    generator = torch.Generator().manual_seed(0)
    moves = [torch.randn(image.shape, generator=generator) for _ in range(_DIRECTIONS)]
    cotangents = {
        layer: torch.randn(value.shape, generator=generator)
        for layer, value in backend.features(image).items()
    }
    gradients = {}
    for layer, cotangent in cotangents.items():
        _, pullback = backend.vjp(image)
        gradients[layer] = pullback({layer: cotangent.to(backend.device)}).cpu().double()
    distances = dict.fromkeys(cotangents, float("inf"))
    for step in STEPS:
        slopes = [_slopes(backend, image, step * move, step, cotangents) for move in moves]
        for layer, gradient in gradients.items():
            expected = torch.tensor([slope[layer] for slope in slopes])
            got = torch.stack([(gradient * move).sum() for move in moves])
            size = max(expected.norm(), gradient.norm() * len(moves) ** 0.5)
            distance = float((got - expected).norm() / size) if size > 0 else 0.0
            distances[layer] = min(distances[layer], distance)
    return distances


def _slopes(
    backend: FeatureBackend,
    image: Tensor,
    change: Tensor,
    step: float,
    cotangents: Features,
) -> dict[str, float]:
    above = {
        layer: value.cpu().double() for layer, value in backend.features(image + change).items()
    }
    below = backend.features(image - change)
    return {
        layer: float((cotangent * (above[layer] - below[layer].cpu().double())).sum()) / (2 * step)
        for layer, cotangent in cotangents.items()
    }
