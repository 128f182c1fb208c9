"""Content loss: squared differences of activations (Gatys, Ecker and Bethge 2015, eq. 1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
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
from ...core.interfaces.terms import LossGraph, References, Region
from .. import hooks
from .statistics.onnx_forms import (
    mean_weights,
    number_of_elements,
    sum_of_elements,
    sum_of_squares,
    total,
)
from .statistics.softmax import ReferenceSoftmax, onnx_softmax, reference_softmax, softmax_field
from .statistics.sums import TINY, weighted, weights_of

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
    softmax: float | None = softmax_field("content image")


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

    Any real activations; summed over the batch. With the option `softmax` the term is a
    SoftmaxContentLoss.
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


@dataclass(frozen=True)
class SoftmaxDifferences(LayerStatistics):
    """Sums over positions of a layer, by image (N,), from which a SoftmaxContentLoss follows.

    With P the softmax of the content image and D = P (exp((F - F_content) / T) - 1): sums of D, of
    D P and of D^2, each times the weights of the positions.
    """

    differences: Tensor
    products: Tensor
    squares: Tensor


class SoftmaxContentLoss(StatisticsTerm[SoftmaxDifferences, None]):
    """Squared differences of the softmax of a layer from that of the content image.

        sum_l v_l 1/2 sum_ij w_j (S_ij - P_ij)^2 / d_l

    S and P are the softmax of result and content image over the layer (see statistics/softmax.py),
    or over the region, if there is one. `normalization` chooses d_l: 1 ("paper"), the number of
    elements ("mean"), or sum_ij (P_ij - 1)^2 ("relative"): an image without any activation, whose
    softmax is 1 everywhere, has a loss of 1/2.

    Any real activations; each image of the batch has its own softmax; summed over the batch.
    """

    reads = frozenset({"content"})

    def __init__(self, arguments: LossTermArguments[ContentOptions]) -> None:
        self.layers = tuple(arguments.layers)
        self._weights = dict(arguments.layers)
        self._normalization = arguments.options.normalization
        self._factor = arguments.options.softmax
        self._content: Mapping[str, ReferenceSoftmax] = {}
        self.grows = arguments.options.normalization == "paper"

    def fitted(self, references: References) -> SoftmaxContentLoss:
        """Return the term with the content image's softmax; see StatisticsTerm.fitted."""
        fitted, region = copy(self), references.content_region
        fitted._content = {
            layer: reference_softmax(maps, weights_of(region, layer), self._factor or 1.0)
            for layer, maps in ((layer, references.content[layer]) for layer in self.layers)
        }
        return fitted

    def statistics(self, tile: FeatureTile) -> Statistics[SoftmaxDifferences]:
        """Compute each layer's sums; see SoftmaxDifferences.

        They are of the second order in the difference of result and content image, or multiplied by
        another difference, so that nearly equal images lose no digits.
        """
        sums = {}
        for layer in self.layers:
            exponential, weights = self._content[layer].exponential, weights_of(tile.region, layer)
            content = tile.content[layer]
            softmax = exponential(content).flatten(2)
            growth = ((tile.features[layer] - content) / exponential.temperature).expm1()
            difference = softmax * growth.flatten(2)
            counted = weighted(difference, weights)
            sums[layer] = SoftmaxDifferences(
                *(
                    values.sum((1, 2))
                    for values in (counted, counted * softmax, counted * difference)
                )
            )
        return sums

    def loss_of_statistics(
        self, statistics: Statistics[SoftmaxDifferences], targets: Sequence[StyleTarget[None]]
    ) -> Tensor:
        """Compute the loss: half the weighted sum over the layers.

        S - P = (D - m P) / (1 + m), with m the mean of D.
        """
        import torch

        losses = []
        for layer, weight in self._weights.items():
            sums, content = statistics[layer], self._content[layer]
            mean = sums.differences / content.count
            squares = sums.squares - 2 * mean * sums.products + mean.square() * content.squares
            loss = 0.5 * weight * (squares / (1 + mean).square()).sum()
            match self._normalization:
                case "mean":
                    loss = loss / content.elements
                case "relative":
                    loss = loss / max(content.deviations, TINY)
            losses.append(loss)
        return torch.stack(losses).sum()

    def onnx_loss_of_region(
        self, region: Region, targets: Sequence[StyleTarget[None]], graph: LossGraph
    ) -> str:
        """Add the nodes of the loss; see StatisticsTerm.onnx_loss_of_region."""
        losses = []
        for layer, weight in self._weights.items():
            content, weights = graph.content(layer), mean_weights(region, layer)
            count = number_of_elements(graph, content)
            mean_square = graph.node("Div", sum_of_squares(graph, content), count)
            root = graph.node("Mul", graph.node("Sqrt", mean_square), self._factor or 1.0)
            black = graph.node("Equal", root, 0.0)
            temperature = graph.node("Where", black, 1.0, root)
            shift = graph.node("Div", graph.node("ReduceMax", content, keepdims=0), temperature)
            parameters = temperature, shift, weights
            target = onnx_softmax(graph, content, *parameters)
            softmax = onnx_softmax(graph, graph.layer(layer), *parameters)
            difference = graph.node("Sub", softmax, target)
            squares = graph.node("Mul", difference, difference)
            if region:
                squares = graph.node("Mul", squares, region[layer])
            loss = graph.node("Mul", sum_of_elements(graph, squares), 0.5 * weight)
            match self._normalization:
                case "mean":
                    loss = graph.node("Div", loss, count)
                case "relative":
                    deviations = sum_of_squares(graph, graph.node("Sub", target, 1.0))
                    loss = graph.node("Div", loss, graph.node("Max", deviations, TINY))
            losses.append(loss)
        return total(graph, losses)


def content_loss(arguments: LossTermArguments[ContentOptions]) -> StatisticsTerm[Any, None]:
    """Create the term `content`."""
    plain = arguments.options.softmax is None
    return ContentLoss(arguments) if plain else SoftmaxContentLoss(arguments)


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `content`."""
    yield LossTermSpec(
        name="content",
        summary="squared differences of activations (Gatys et al. 2015)",
        create=content_loss,
        options=ContentOptions,
        layers_from="content",
    )
