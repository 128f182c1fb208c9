"""Inputs of the checks of a loss term: features of fixed images, and regions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ...core.interfaces.backend import Features
from ...core.interfaces.terms import IMAGE_LAYER, LossTerm, References, Style
from ...core.interfaces.video.former import FormerResult
from .network import TinyBackbone
from .pictures import painting, photo

#: Side of the images, in pixels: small enough for finite differences by each pixel.
SIDE = 10


class Images:
    """Features of the fixed images, at the tiny network's layers and the pixels."""

    def __init__(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> None:
        self._trunk = TinyBackbone(dtype).trunk([info.name for info in TinyBackbone.layers])
        self._trunk.to(device)
        self._dtype, self._device = dtype, device

    def features(self, image: Tensor, term: LossTerm) -> dict[str, Tensor]:
        """Return the features of an image at the layers of a term."""
        image = image.to(self._device, self._dtype)
        activations = {**self._trunk(image), IMAGE_LAYER: image}
        return {name: activations[name] for name in term.layers}

    def result(self, term: LossTerm) -> dict[str, Tensor]:
        """Return the features of the result."""
        mixed = 0.6 * photo(SIDE, SIDE + 2) + 0.4 * painting(SIDE, SIDE + 2)
        return self.features(mixed, term)

    def references(self, term: LossTerm, scale: float = 1.0) -> References:
        """Return the references of a term, with all features multiplied by `scale`."""

        def scaled(image: Tensor) -> Features:
            return {name: scale * value for name, value in self.features(image, term).items()}

        styles = (
            Style(scaled(painting(12, 8)), 0.75),
            Style(scaled(painting(9, 14).flip(3)), 0.25),
        )
        return References(
            content=scaled(photo(SIDE, SIDE + 2)) if "content" in term.reads else {},
            styles=styles if "styles" in term.reads else (),
            seed=1,
            former=self._former(scale) if "former" in term.reads else (),
        )

    def _former(self, scale: float) -> tuple[FormerResult, ...]:
        """Return two former results, each reliable in another part of the result."""
        images = (painting(SIDE, SIDE + 2), photo(SIDE, SIDE + 2))
        upper = torch.zeros(1, 1, SIDE, SIDE + 2)
        upper[:, :, : SIDE // 2] = 1
        return tuple(
            FormerResult(
                (scale * image).to(self._device, self._dtype), part.to(self._device, self._dtype)
            )
            for image, part in zip(images, (upper, 0.5 - 0.5 * upper), strict=True)
        )


def half(features: Tensor, row: int, upper: bool) -> Tensor:
    """Return the features of the pixels above `row`, or of the others."""
    cut = row * features.shape[2] // SIDE
    return features[:, :, :cut] if upper else features[:, :, cut:]


def confined(
    references: References, result: Features, weights: Callable[[Tensor], Tensor]
) -> References:
    """Return the references with regions: of the result for content and styles, and of the styles.

    The styles' own regions are left out where all weights would be zero.
    """

    def region(features: Features) -> dict[str, Tensor]:
        return {name: weights(value[:1, :1]) for name, value in features.items()}

    result_region = region(result)
    empty = not any(values.any() for values in result_region.values())
    styles = tuple(
        replace(style, region=result_region, own_region={} if empty else region(style.features))
        for style in references.styles
    )
    return replace(
        references, styles=styles, content_region=result_region if references.content else {}
    )


def ramp(features: Tensor) -> Tensor:
    """Return weights that rise from 0 at the left to 1 at the right."""
    return torch.linspace(0, 1, features.shape[3]).to(features).expand_as(features)


def left_half(features: Tensor) -> Tensor:
    """Return weights of 1 in the left half, and 0 in the other."""
    return (ramp(features) < 0.5).to(features)


def permuted(features: Tensor) -> Tensor:
    """Return the features with their positions permuted."""
    order = torch.randperm(features[0, 0].numel(), generator=torch.Generator().manual_seed(1))
    return features.flatten(2)[:, :, order].view_as(features)


def zeros(features: Features) -> dict[str, Tensor]:
    """Return features of zeros, as of a black image."""
    return {name: torch.zeros_like(value) for name, value in features.items()}
