"""Covariance loss: squared differences of covariance matrices.

These are the Gram matrices of Gatys, Ecker and Bethge (2015) of features less their mean. Sun and
Saenko 2016, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", align the domains of a
classifier by the same distance, divided by four times the squared number of channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.specs import LossTermArguments, LossTermSpec
from ...core.interfaces.statistics import FeatureTile, Statistics, StatisticsTerm, StyleTarget
from ...core.interfaces.terms import LossGraph, Region
from .. import hooks
from .statistics.onnx_forms import (
    mean_over_positions,
    mean_products,
    mean_weights,
    squared_distance,
    total,
)
from .statistics.sums import TINY, CovarianceSums, covariance_sums, mean_and_covariance

if TYPE_CHECKING:
    from torch import Tensor


class CovarianceOptions(BaseModel):
    """Options of the loss term `covariance`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalization: Literal["relative", "plain"] = Field(
        default="relative",
        description="relative to the style's covariance matrix, so that layers can be "
        "compared, or the plain sum of the squared differences",
    )


class CovarianceLoss(StatisticsTerm[CovarianceSums, Statistics[CovarianceSums]]):
    """Squared differences of the covariance matrices of result and style, weighted over the layers.

        sum_l w_l / d_l sum_ij (C_ij - C'_ij)^2, averaged over the styles by their weights

    C = E[(F - mu)(F - mu)^T] over the positions (N_l x N_l), C' that of a style image. A channel's
    mean does not count, only its variance and its covariance with others: the result may keep the
    content's brightness. `normalization` chooses d_l: 1 ("plain"), or sum_ij C'_ij^2 ("relative"),
    which makes the loss independent of the layer's and the network's units: a flat image has a
    loss of 1.

    Any real activations (N, C, H, W); summed over the batch. The matrices are float64, from
    products of centred float32 numbers (see `covariance_sums`).
    """

    reads = frozenset({"styles"})

    def __init__(self, arguments: LossTermArguments[CovarianceOptions]) -> None:
        self.layers = tuple(arguments.layers)
        self._weights = dict(arguments.layers)
        self._relative = arguments.options.normalization == "relative"

    def statistics(self, tile: FeatureTile) -> Statistics[CovarianceSums]:
        """Compute each layer's first and second moments, and its number of positions."""
        return covariance_sums(tile, self.layers)

    def loss_of_statistics(
        self,
        statistics: Statistics[CovarianceSums],
        targets: Sequence[StyleTarget[Statistics[CovarianceSums]]],
    ) -> Tensor:
        """Compute the loss: the weighted sum over layers and styles."""
        import torch

        losses = []
        for layer, weight in self._weights.items():
            _, covariance = mean_and_covariance(statistics[layer])
            for style in targets:
                _, target = mean_and_covariance(style.target[layer])
                squared = (covariance - target).square().sum()
                losses.append(style.weight * weight * squared / self._divisor(target))
        return torch.stack(losses).sum().to(statistics[self.layers[0]].positions)

    def onnx_loss_of_region(
        self,
        region: Region,
        targets: Sequence[StyleTarget[Statistics[CovarianceSums]]],
        graph: LossGraph,
    ) -> str:
        """Add the nodes of the loss; see StatisticsTerm.onnx_loss_of_region.

        Products of numbers less their mean lose nothing in float32; an image that is a single tile
        needs no sums that add up.
        """
        losses = []
        for layer, weight in self._weights.items():
            maps, weights = graph.layer(layer), mean_weights(region, layer)
            centred = graph.node("Sub", maps, mean_over_positions(graph, maps, weights))
            covariance = mean_products(graph, centred, weights)
            for style in targets:
                _, target = mean_and_covariance(style.target[layer])
                factor = float(style.weight * weight / self._divisor(target))
                distance = squared_distance(graph, covariance, target)
                losses.append(graph.node("Mul", distance, factor))
        return total(graph, losses)

    def _divisor(self, target: Tensor) -> Tensor | float:
        return target.square().sum().clamp_min(TINY) if self._relative else 1.0


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `covariance`."""
    yield LossTermSpec(
        name="covariance",
        summary="squared differences of covariance matrices (Sun and Saenko 2016)",
        create=CovarianceLoss,
        options=CovarianceOptions,
        layers_from="style",
    )
