"""Content loss: squared differences of activations (Gatys, Ecker and Bethge 2015, eq. 1)."""

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
from .statistics.onnx_forms import number_of_elements, sum_of_elements, sum_of_squares, total
from .statistics.sums import TINY, weights_of

if TYPE_CHECKING:
    from torch import Tensor


class ContentOptions(BaseModel):
    """Options of the loss term `content`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalization: Literal["relative", "mean", "paper"] = Field(
        default="relative",
        description="relative to the activations of the content image, the mean over elements, "
        "or the paper's plain sum, which grows with the size",
    )


@dataclass(frozen=True)
class SquaredDifferences(LayerStatistics):
    """Sum of squared differences of a layer, and its divisor, if there is one."""

    squares: Tensor
    divisor: Tensor | None


class ContentLoss(StatisticsTerm[SquaredDifferences, None]):
    """Squared differences from the content image's activations, weighted over the layers.

        sum_l v_l 1/2 sum_ij w_j (F_ij - P_ij)^2 / d_l

    F are the activations of the result, P those of the content image, and w the weights of the
    positions: 1, or the content's region.

    `normalization` chooses d_l: 1 ("paper"), the number of elements ("mean"), or sum_ij P_ij^2
    ("relative"), which makes the loss independent of the size, the layer and the network's units.
    d_l does not depend on the region: positions outside of it are free, and those inside count as
    much as without a region.

    Any real activations; summed over the batch.
    """

    reads = frozenset({"content"})

    def __init__(self, arguments: LossTermArguments[ContentOptions]) -> None:
        self.layers = tuple(arguments.layers)
        self._weights = dict(arguments.layers)
        self._normalization = arguments.options.normalization
        self.grows = arguments.options.normalization == "paper"

    def statistics(self, tile: FeatureTile) -> Statistics[SquaredDifferences]:
        """Compute each layer's sum of squared differences, and its divisor."""
        sums = {}
        for layer in self.layers:
            target, weights = tile.content[layer], weights_of(tile.region, layer)
            squares = (tile.features[layer] - target).square()
            if weights is not None:
                squares = squares.flatten(2) * weights.to(squares)
            sums[layer] = SquaredDifferences(squares.sum(), self._divisor(target))
        return sums

    def _divisor(self, target: Tensor) -> Tensor | None:
        match self._normalization:
            case "mean":
                return target.new_full((), target[0].numel())
            case "relative":
                return target.square().sum()
        return None

    def loss_of_statistics(
        self, statistics: Statistics[SquaredDifferences], targets: Sequence[StyleTarget[None]]
    ) -> Tensor:
        """Compute the loss: half the weighted sum over the layers."""
        import torch

        losses = []
        for layer, weight in self._weights.items():
            divisor = statistics[layer].divisor
            loss = 0.5 * weight * statistics[layer].squares
            losses.append(loss if divisor is None else loss / divisor.clamp_min(TINY))
        return torch.stack(losses).sum()

    def onnx_loss_of_region(
        self, region: Region, targets: Sequence[StyleTarget[None]], graph: LossGraph
    ) -> str:
        """Add the nodes of the loss; see StatisticsTerm.onnx_loss_of_region."""
        losses = []
        for layer, weight in self._weights.items():
            target = graph.content(layer)
            difference = graph.node("Sub", graph.layer(layer), target)
            squares = graph.node("Mul", difference, difference)
            if region:
                squares = graph.node("Mul", squares, region[layer])
            loss = graph.node("Mul", sum_of_elements(graph, squares), 0.5 * weight)
            match self._normalization:
                case "mean":
                    count = number_of_elements(graph, target)
                    loss = graph.node("Div", loss, count)
                case "relative":
                    square = graph.node("Max", sum_of_squares(graph, target), TINY)
                    loss = graph.node("Div", loss, square)
            losses.append(loss)
        return total(graph, losses)


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `content`."""
    yield LossTermSpec(
        name="content",
        summary="squared differences of activations (Gatys et al. 2015)",
        create=ContentLoss,
        options=ContentOptions,
        layers_from="content",
    )
