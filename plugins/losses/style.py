"""Style loss: squared differences of Gram matrices (Gatys, Ecker and Bethge 2015, eqs. 3-5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import astuple, dataclass
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
from ...core.interfaces.terms import LossGraph, References, Region
from .. import hooks
from .statistics.onnx_forms import (
    mean_products,
    mean_weights,
    squared_distance,
    total,
)
from .statistics.softmax import Exponential, exponentials_of, onnx_softmax, softmax_field
from .statistics.sums import TINY, count_of, least_positive, weighted, weights_of

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
    softmax: float | None = softmax_field("style")


@dataclass(frozen=True)
class GramSums(LayerStatistics):
    """Gram matrix G (N, C, C) of a layer, and its number of positions M.

    With `softmax`, those of the exponentials, and their sum over channels and positions (N, 1, 1).
    """

    gram: Tensor
    positions: Tensor
    exponentials: Tensor | None = None

    @property
    def mean(self) -> Tensor:
        """Mean over the positions, G / M; with `softmax`, that of the softmax."""
        if self.exponentials is None:
            return self.gram / self.positions.clamp_min(TINY)
        # Divided twice, since the square might leave the range of float32.
        divisor = self.exponentials.clamp_min(least_positive(self.exponentials))
        return self.gram / divisor / divisor * (self.gram.shape[1] ** 2 * self.positions)


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

    With the option `softmax`, F and the style's activations are replaced by their softmax over the
    layer (see statistics/softmax.py; over the region, if there is one). All styles together
    determine its temperature. "relative" is then relative to sum_ij (A_ij / M' - 1)^2: again an
    image without any activation, whose softmax is 1 everywhere, has a loss of 1.

    Any real activations; summed over the batch.
    """

    reads = frozenset({"styles"})

    def __init__(self, arguments: LossTermArguments[StyleOptions]) -> None:
        self.layers = tuple(arguments.layers)
        self._weights = dict(arguments.layers)
        self._relative = arguments.options.normalization == "relative"
        self._softmax = arguments.options.softmax
        self._exponentials: Mapping[str, Exponential] = {}

    def fitted(self, references: References) -> StyleLoss:
        """Return the term with the styles' exponentials; see StatisticsTerm.fitted."""
        if self._softmax is None:
            return self
        fitted = copy(self)
        fitted._exponentials = exponentials_of(references.styles, self.layers, self._softmax)
        return fitted

    def statistics(self, tile: FeatureTile) -> Statistics[GramSums]:
        """Compute each layer's Gram matrix (N, C, C), and its number of positions."""
        from .statistics.gram import gram_matrix

        sums: dict[str, GramSums] = {}
        for layer in self.layers:
            maps, weights, total = tile.features[layer], weights_of(tile.region, layer), None
            if self._softmax is not None:
                maps = self._exponentials[layer](maps)
                total = weighted(maps.flatten(2), weights).sum((1, 2))[:, None, None]
            count = count_of(maps.flatten(2), weights)
            sums[layer] = GramSums(gram_matrix(maps, weights), count, total)
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
            gram = self._onnx_mean(layer, mean_weights(region, layer), graph)
            for style in targets:
                target = style.target[layer].mean
                factor = float(style.weight * weight / self._divisor(target))
                losses.append(graph.node("Mul", squared_distance(graph, gram, target), factor))
        return total(graph, losses)

    def _onnx_mean(self, layer: str, weights: Tensor | None, graph: LossGraph) -> str:
        """Add the nodes of GramSums.mean, (1, C, C)."""
        maps = graph.layer(layer)
        if self._softmax is None:
            return mean_products(graph, maps, weights)
        temperature, shift = astuple(self._exponentials[layer])
        softmax = onnx_softmax(graph, maps, temperature, shift, weights)
        return mean_products(graph, softmax, weights)

    def _divisor(self, target: Tensor) -> Tensor | float:
        if self._relative:
            silent = 0.0 if self._softmax is None else 1.0
            return (target - silent).square().sum().clamp_min(TINY)
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
