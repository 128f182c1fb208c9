"""Total variation: differences of neighboring pixels.

Mahendran and Vedaldi 2015, "Understanding Deep Image Representations by Inverting Them". The paper
takes the power of each gradient's length; here each difference has its own power.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ....core.interfaces.backend import Features
from ....core.interfaces.specs import LossTermArguments, LossTermSpec
from ....core.interfaces.terms import IMAGE_LAYER, Loss, LossGraph, LossTerm, References
from ....core.job.model import LONGEST_SIDE
from ... import hooks
from ..statistics.onnx_forms import number_of_elements, sum_of_elements

if TYPE_CHECKING:
    from torch import Tensor

#: Side in pixels of the squares over which the content's variance is taken.
_WINDOW = 5


class TotalVariationOptions(BaseModel):
    """Options of the loss term `tv`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    power: Literal[1, 2] = Field(
        default=2, description="1 keeps edges and flattens the rest; 2 smooths evenly"
    )
    reduction: Literal["mean", "sum"] = Field(
        default="mean",
        description="sum of the differences, or that divided by the number of values, 3 per pixel",
    )
    flat: float | None = Field(
        default=None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="smooth only where the content image is flat: where its colors deviate from "
        "their means over 5 x 5 pixels by about this or less, such as 0.02; unset: everywhere",
    )


class TotalVariationLoss(LossTerm):
    """Powers of the differences of neighboring pixels, summed over channels and positions.

        sum |x right - x|^power + |x below - x|^power

    With the option `flat`, a difference between two pixels is multiplied by u of both,

        u = w exp(-v / (2 flat^2))

    where v is how much the content image changes around the pixel (see `flatness`), and w the
    weight of the pixel in the content's region. So flat areas and smooth slopes are smoothed, and
    edges and textures of the content are not.

    If the result wraps, the last column's neighbor is the first, and likewise with the rows. On
    pixels in [0, 1]; summed over the batch. The loss reads the whole image at once, which needs no
    network and little memory, so that tiles are not needed.
    """

    regional = True
    layers = (IMAGE_LAYER,)
    balanced = False

    def __init__(self, arguments: LossTermArguments[TotalVariationOptions]) -> None:
        self._options = arguments.options
        self.reads = frozenset() if arguments.options.flat is None else frozenset({"content"})
        self.grows = arguments.options.reduction == "sum"

    def bind(self, references: References) -> Loss:
        """Compute the weights of the pixels, if there are any, and return the loss."""
        weights = None
        if self._options.flat is not None:
            weights = flatness(references.content[IMAGE_LAYER], self._options.flat)
            if references.content_region:
                weights = weights * references.content_region[IMAGE_LAYER].to(weights)
        return partial(self._loss, references.wraps, weights)

    def onnx_loss(self, references: References, graph: LossGraph) -> str:
        """Add the nodes of the loss; see LossTerm.onnx_loss."""
        image = graph.layer(IMAGE_LAYER)
        weights = None
        if self._options.flat is not None:
            weights = _onnx_flatness(graph, graph.content(IMAGE_LAYER), self._options.flat)
            if references.content_region:
                weights = graph.node("Mul", weights, references.content_region[IMAGE_LAYER])
        losses = []
        for axis in (3, 2):
            following, preceding = _onnx_neighbors(graph, image, axis, references.wraps)
            difference = graph.node("Sub", following, preceding)
            if self._options.power == 1:
                powers = graph.node("Abs", difference)
            else:
                powers = graph.node("Mul", difference, difference)
            if weights is not None:
                pair = _onnx_neighbors(graph, weights, axis, references.wraps)
                powers = graph.node("Mul", powers, graph.node("Mul", *pair))
            losses.append(sum_of_elements(graph, powers))
        loss = graph.node("Add", *losses)
        if self._options.reduction == "mean":
            loss = graph.node("Div", loss, number_of_elements(graph, image))
        return loss

    def _loss(self, wraps: bool, weights: Tensor | None, features: Features) -> Tensor:
        image = features[IMAGE_LAYER]
        loss = self._total(image, 3, wraps, weights) + self._total(image, 2, wraps, weights)
        return loss / image[0].numel() if self._options.reduction == "mean" else loss

    def _total(self, image: Tensor, dim: int, wraps: bool, weights: Tensor | None) -> Tensor:
        difference = image.diff(dim=dim, append=image.narrow(dim, 0, 1) if wraps else None)
        powers = difference.abs() if self._options.power == 1 else difference.square()
        if weights is not None:
            following = weights.roll(-1, dim)
            pairs = (weights * following).narrow(dim, 0, difference.shape[dim])
            powers = powers * pairs
        return powers.sum()


def flatness(content: Tensor, deviation: float) -> Tensor:
    """Compute how flat an image is around each pixel, (N, C, H, W) -> (N, 1, H, W) in (0, 1].

    It is exp(-v / (2 deviation^2)), where v is the mean of (c - m)^2 over the channels and the part
    of a square of 5 x 5 pixels that is inside the image, and m the mean of the color c over such a
    square. The difference of means of squares, a variance, would lose its digits in float32.
    """
    squares = (content - _means(content)).square()
    return (_means(squares).mean(1, keepdim=True) / (-2 * deviation**2)).exp()


def _means(values: Tensor) -> Tensor:
    """Compute the means over the parts of squares that are inside the image."""
    from torch.nn import functional

    return functional.avg_pool2d(values, _WINDOW, 1, _WINDOW // 2, count_include_pad=False)


def _onnx_flatness(graph: LossGraph, content: str, deviation: float) -> str:
    """Add the nodes of `flatness`."""
    window: dict[str, object] = {"kernel_shape": [_WINDOW] * 2, "pads": [_WINDOW // 2] * 4}
    means = graph.node("AveragePool", content, **window)
    deviations = graph.node("Sub", content, means)
    squares = graph.node("AveragePool", graph.node("Mul", deviations, deviations), **window)
    mean = graph.node("ReduceMean", squares, (1,), keepdims=1)
    return graph.node("Exp", graph.node("Mul", mean, -1 / (2 * deviation**2)))


def _onnx_neighbors(graph: LossGraph, values: str, axis: int, wraps: bool) -> tuple[str, str]:
    """Add the nodes of all pairs of neighbors along an axis: the following, and the preceding."""
    following = graph.node("Slice", values, (1,), (LONGEST_SIDE,), (axis,))
    if wraps:
        first = graph.node("Slice", values, (0,), (1,), (axis,))
        return graph.node("Concat", following, first, axis=axis), values
    return following, graph.node("Slice", values, (0,), (-1,), (axis,))


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `tv`."""
    yield LossTermSpec(
        name="tv",
        summary="total variation: differences of neighboring pixels",
        create=TotalVariationLoss,
        options=TotalVariationOptions,
        layers_from="image",
    )
