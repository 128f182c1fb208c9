"""Moment loss: squared differences of each channel's mean and standard deviation.

Li, Wang, Liu and Hou 2017, "Demystifying Neural Style Transfer", where the statistics of batch
normalization are the style.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.specs import LossTermArguments, LossTermSpec
from ...core.interfaces.statistics import (
    FeatureTile,
    LayerStatistics,
    Statistics,
    StatisticsTerm,
    StyleTarget,
)
from ...core.interfaces.terms import LossGraph, Region
from .. import hooks
from .statistics.onnx_forms import mean_over_positions, mean_weights, squared_distance, total
from .statistics.sums import TINY, count_of, double, mean_of, weights_of

if TYPE_CHECKING:
    from torch import Tensor


class MomentsOptions(BaseModel):
    """Options of the loss term `moments`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalization: Literal["relative", "paper"] = Field(
        default="relative",
        description="relative to the style's means and deviations, so that layers can be "
        "compared, or the paper's mean over the channels",
    )


@dataclass(frozen=True)
class MomentSums(LayerStatistics):
    """Sums over the positions k of weight w_k: w_k F_k and w_k F_k^2 (N, C), float64, and w_k."""

    totals: Tensor
    squares: Tensor
    positions: Tensor


class MomentsLoss(StatisticsTerm[MomentSums, Statistics[MomentSums]]):
    """Squared differences of the channels' means and deviations, weighted over the layers.

        sum_l w_l / d_l sum_i (mu_i - mu'_i)^2 + (sigma_i - sigma'_i)^2, averaged over the styles

    mu_i and sigma_i are channel i's mean and standard deviation over the positions, mu' and sigma'
    those of a style image. `normalization` chooses d_l: N_l, the number of channels ("paper"), or
    sum_i mu'_i^2 + sigma'_i^2 ("relative"), which makes the loss independent of the layer's and
    the network's units: an image without any activation has a loss of 1.

    Any real activations (N, C, H, W); summed over the batch. A deviation below 1e-6 counts as 1e-6
    and has a gradient of zero: the square root has no derivative at zero, the variance of dead
    channels.
    """

    reads = frozenset({"styles"})

    def __init__(self, arguments: LossTermArguments[MomentsOptions]) -> None:
        self.layers = tuple(arguments.layers)
        self._weights = dict(arguments.layers)
        self._relative = arguments.options.normalization == "relative"

    def statistics(self, tile: FeatureTile) -> Statistics[MomentSums]:
        """Compute each layer's sum F and sum F^2 (N, C), float64, and its number of positions.

        The sums are taken about the channel's mean and moved back in float64; otherwise the
        variance of a bright, even channel would be lost to rounding. See `covariance_sums`.
        """
        sums: dict[str, MomentSums] = {}
        for layer in self.layers:
            rows = tile.features[layer].flatten(2)
            weights = weights_of(tile.region, layer)
            positions, pivot = count_of(rows, weights), mean_of(rows, weights)
            centred, shift, count = rows - pivot.unsqueeze(2), double(pivot), double(positions)
            powers = [centred, centred.square()]
            if weights is not None:
                powers = [power * weights.to(centred) for power in powers]
            residual, squares = (double(power.sum(2)) for power in powers)
            sums[layer] = MomentSums(
                totals=residual + count * shift,
                squares=squares + 2 * shift * residual + count * shift.square(),
                positions=positions,
            )
        return sums

    def loss_of_statistics(
        self,
        statistics: Statistics[MomentSums],
        targets: Sequence[StyleTarget[Statistics[MomentSums]]],
    ) -> Tensor:
        """Compute the loss: the weighted sum over layers and styles."""
        import torch

        losses = []
        for layer, weight in self._weights.items():
            moments = _moments(statistics[layer])
            for style in targets:
                target = _moments(style.target[layer])
                squared = (moments - target).square().sum()
                losses.append(style.weight * weight * squared / self._divisor(target))
        return torch.stack(losses).sum().to(statistics[self.layers[0]].positions)

    def onnx_loss_of_region(
        self,
        region: Region,
        targets: Sequence[StyleTarget[Statistics[MomentSums]]],
        graph: LossGraph,
    ) -> str:
        """Add the nodes of the loss; see StatisticsTerm.onnx_loss_of_region."""
        losses = []
        for layer, weight in self._weights.items():
            maps, weights = graph.layer(layer), mean_weights(region, layer)
            mean = mean_over_positions(graph, maps, weights)
            centred = graph.node("Sub", maps, mean)
            variance = mean_over_positions(graph, graph.node("Mul", centred, centred), weights)
            deviation = graph.node("Sqrt", graph.node("Clip", variance, TINY))
            for style in targets:
                target = _moments(style.target[layer])
                factor = float(style.weight * weight / self._divisor(target))
                distances = (
                    squared_distance(graph, value, expected[..., None, None])
                    for value, expected in zip((mean, deviation), target, strict=True)
                )
                losses.append(graph.node("Mul", total(graph, distances), factor))
        return total(graph, losses)

    def _divisor(self, target: Tensor) -> Tensor | float:
        if self._relative:
            return target.square().sum().clamp_min(TINY)
        return float(target.shape[-1])


def _moments(sums: MomentSums) -> Tensor:
    """Compute means and standard deviations of the channels: (2, N, C)."""
    import torch

    count = double(sums.positions).clamp_min(TINY)
    mean = sums.totals / count
    variance = sums.squares / count - mean.square()
    return torch.stack([mean, variance.clamp_min(TINY).sqrt()])


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `moments`."""
    yield LossTermSpec(
        name="moments",
        summary="differences of each channel's mean and deviation (Li et al. 2017)",
        create=MomentsLoss,
        options=MomentsOptions,
        layers_from="style",
    )
