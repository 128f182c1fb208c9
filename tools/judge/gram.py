"""Distance of Gram matrices (Gatys, Ecker and Bethge 2015), relative to the style image's."""

from __future__ import annotations

from torch import Tensor

from .pictures import LAYERS, Picture


def gram_distance(picture: Picture, style: Picture) -> float:
    """Return the mean over the layers of |G - A| / |A|, with Frobenius norms.

    G = F F^T / M is the Gram matrix of the picture's activations F (C, M), A that of the style
    image's. 0 for the same statistics; a picture without any activation has 1.
    """
    distances: list[float] = []
    for layer in LAYERS:
        target = _gram(style.features[layer])
        difference = _gram(picture.features[layer]) - target
        distances.append((difference.norm() / target.norm().clamp_min(1e-12)).item())
    return sum(distances) / len(distances)


def _gram(features: Tensor) -> Tensor:
    maps = features.flatten(1)
    return (maps @ maps.T / maps.shape[1]).double()
