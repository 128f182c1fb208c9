"""Style loss: squared differences of Gram matrices (Gatys, Ecker and Bethge 2015, eqs. 3-5)."""

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
from .statistics.onnx_forms import (
    mean_products,
    mean_weights,
    squared_distance,
    total,
)
from .statistics.sums import TINY, count_of, weights_of

if TYPE_CHECKING:
    from torch import Tensor


class StyleOptions(BaseModel):
    """Options of the loss term `style`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalization: Literal["relative", "paper"] = Field(
        default="relative",
        description="relative to the style's Gram matrix, so that layers can be compared, "
        "or as in the paper, where one layer may outweigh another a hundred thousand times",
    )


@dataclass(frozen=True)
class GramSums(LayerStatistics):
    """Gram matrix G (N, C, C) of a layer, and its number of positions M."""

    gram: Tensor
    positions: Tensor

    @property
    def mean(self) -> Tensor:
        """Mean over the positions, G / M."""
        return self.gram / self.positions.clamp_min(TINY)


class StyleLoss(StatisticsTerm[GramSums, Statistics[GramSums]]):
    """Squared differences of the Gram matrices of result and style, weighted over the layers.

        sum_l w_l / d_l sum_ij (G_ij / M - A_ij / M')^2, averaged over the styles by their weights

    G and A are the Gram matrices of the result and of a style image; M and M' are the numbers of
    positions, so that images of different sizes compare. In a region both are weighted sums:
    G_ij = sum_k w_k F_ik F_jk, M = sum_k w_k (Gatys et al. 2017). `normalization` chooses d_l:

    - "paper": 4 N_l^2, with N_l channels. Where both images have one size, this is the paper's
      1 / (4 N_l^2 M_l^2) sum_ij (G_ij - A_ij)^2.
    - "relative": sum_ij (A_ij / M')^2, which makes the loss independent of the layer's and the
      network's units: an image without any activation has a loss of 1.

    Any real activations; summed over the batch.
    """

    reads = frozenset({"styles"})

    def __init__(self, arguments: LossTermArguments[StyleOptions]) -> None:
        self.layers = tuple(arguments.layers)
        self._weights = dict(arguments.layers)
        self._relative = arguments.options.normalization == "relative"

    def statistics(self, tile: FeatureTile) -> Statistics[GramSums]:
        """Compute each layer's Gram matrix (N, C, C), and its number of positions."""
        from .statistics.gram import gram_matrix

        sums: dict[str, GramSums] = {}
        for layer in self.layers:
            maps, weights = tile.features[layer], weights_of(tile.region, layer)
            sums[layer] = GramSums(gram_matrix(maps, weights), count_of(maps.flatten(2), weights))
        return sums

    def loss_of_statistics(
        self,
        statistics: Statistics[GramSums],
        targets: Sequence[StyleTarget[Statistics[GramSums]]],
    ) -> Tensor:
        """Compute the loss: the weighted sum over layers and styles."""
        import torch

        losses = []
        for layer, weight in self._weights.items():
            gram = statistics[layer].mean
            for style in targets:
                target = style.target[layer].mean
                squared = (gram - target).square().sum()
                losses.append(style.weight * weight * squared / self._divisor(target))
        return torch.stack(losses).sum()

    def onnx_loss_of_region(
        self,
        region: Region,
        targets: Sequence[StyleTarget[Statistics[GramSums]]],
        graph: LossGraph,
    ) -> str:
        """Add the nodes of the loss; see StatisticsTerm.onnx_loss_of_region."""
        losses = []
        for layer, weight in self._weights.items():
            gram = mean_products(graph, graph.layer(layer), mean_weights(region, layer))
            for style in targets:
                target = style.target[layer].mean
                factor = float(style.weight * weight / self._divisor(target))
                losses.append(graph.node("Mul", squared_distance(graph, gram, target), factor))
        return total(graph, losses)

    def _divisor(self, target: Tensor) -> Tensor | float:
        if self._relative:
            return target.square().sum().clamp_min(TINY)
        return 4.0 * target.shape[-1] ** 2


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `style`."""
    yield LossTermSpec(
        name="style",
        summary="squared differences of Gram matrices (Gatys et al. 2015)",
        create=StyleLoss,
        options=StyleOptions,
        layers_from="style",
    )
