"""Sliced Wasserstein loss: differences of sorted projections of the activations.

Heitz, Vanhoey, Chambon and Belcour 2021, "A Sliced Wasserstein Loss for Neural Texture Synthesis".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermArguments, LossTermSpec
from ...core.interfaces.terms import Loss, LossTerm, References
from .. import hooks
from .statistics.sums import TINY, resampled

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class SlicedWassersteinOptions(BaseModel):
    """Options of the loss term `sliced-wasserstein`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    directions: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="random directions for each layer; by default its number of channels",
    )


class SlicedWassersteinLoss(LossTerm):
    """Squared differences of sorted projections of the activations, weighted over the layers.

        sum_l w_l / d_l sum_vi (sort(v.F)_i - sort(v.S)_i)^2, averaged over the styles by weights

    The activations at one position are a point in as many dimensions as the layer has channels. F
    and S are the points of the result and of a style image, v runs over random unit vectors, and
    sort(v.F) are the points' projections in ascending order: their quantiles. Where the images have
    different sizes, the style's quantiles are interpolated linearly.

    d_l is sum_vi sort(v.S)_i^2, which makes the loss independent of the size and of the layer's and
    the network's units: an image without any activation has a loss of 1.

    The authors' code draws new directions for each evaluation. Here they are drawn once, from the
    job's seed, so that L-BFGS minimises one function.

    Any real activations; summed over the batch.
    """

    reads = frozenset({"styles"})

    def __init__(self, arguments: LossTermArguments[SlicedWassersteinOptions]) -> None:
        self.layers = tuple(arguments.layers)
        self._weights = dict(arguments.layers)
        self._directions = arguments.options.directions

    def bind(self, references: References) -> Loss:
        """Draw the directions, sort the styles' projections, and return the loss."""
        import torch

        generator = torch.Generator().manual_seed(references.seed)
        directions, targets = {}, {}
        for layer in self.layers:
            like = references.styles[0].features[layer]
            directions[layer] = unit_vectors(self._directions, like, generator)
            targets[layer] = [
                (sorted_projections(style.features[layer], directions[layer]), style.weight)
                for style in references.styles
            ]

        def loss(features: Features) -> Tensor:
            losses = []
            for layer, weight in self._weights.items():
                projections = sorted_projections(features[layer], directions[layer])
                for quantiles, style_weight in targets[layer]:
                    losses.append(style_weight * weight * relative_distance(projections, quantiles))
            return torch.stack(losses).sum()

        return loss


def unit_vectors(number: int | None, like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw unit vectors (number, C), evenly distributed on the sphere, for features (N, C, H, W).

    `number` is C by default. They are drawn on the CPU, so that a seed gives the same vectors on
    every device.
    """
    import torch
    from torch.nn import functional

    channels = like.shape[1]
    shape = (number or channels, channels)
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
    return functional.normalize(drawn, dim=1).to(device=like.device, dtype=like.dtype)


def sorted_projections(features: Tensor, directions: Tensor) -> Tensor:
    """Project (N, C, H, W) on directions (D, C) and sort: (N, D, H * W), ascending."""
    return (directions @ features.flatten(2)).sort(dim=2).values


def relative_distance(projections: Tensor, quantiles: Tensor) -> Tensor:
    """Squared distance of sorted projections (N, D, M) from (1, D, M'), divided by their square."""
    target = resampled(quantiles, projections.shape[2])
    return (projections - target).square().sum() / target.square().sum().clamp_min(TINY)


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `sliced-wasserstein`."""
    yield LossTermSpec(
        name="sliced-wasserstein",
        summary="sorted projections of activations (Heitz et al. 2021)",
        create=SlicedWassersteinLoss,
        options=SlicedWassersteinOptions,
        layers_from="style",
        random=True,
    )
