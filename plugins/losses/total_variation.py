"""Total variation: differences of neighboring pixels.

Mahendran and Vedaldi 2015, "Understanding Deep Image Representations by Inverting Them". The paper
takes the power of each gradient's length; here each difference has its own power.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermArguments, LossTermSpec
from ...core.interfaces.terms import IMAGE_LAYER, Loss, LossGraph, LossTerm, References
from ...core.job.model import LONGEST_SIDE
from .. import hooks
from .statistics.onnx_forms import number_of_elements, sum_of_elements

if TYPE_CHECKING:
    from torch import Tensor


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


class TotalVariationLoss(LossTerm):
    """Powers of the differences of neighboring pixels, summed over channels and positions.

        sum |x right - x|^power + |x below - x|^power

    If the result wraps, the last column's neighbor is the first, and likewise with the rows. On
    pixels in [0, 1]; summed over the batch. The loss reads the whole image at once, which needs no
    network and little memory, so that tiles are not needed.
    """

    layers = (IMAGE_LAYER,)
    reads = frozenset()

    def __init__(self, arguments: LossTermArguments[TotalVariationOptions]) -> None:
        self._options = arguments.options
        self.grows = arguments.options.reduction == "sum"

    def bind(self, references: References) -> Loss:
        """Return the loss, which has no targets."""
        return partial(self._loss, references.wraps)

    def onnx_loss(self, references: References, graph: LossGraph) -> str:
        """Add the nodes of the loss; see LossTerm.onnx_loss."""
        image = graph.layer(IMAGE_LAYER)
        losses = []
        for axis in (3, 2):
            following = graph.node("Slice", image, (1,), (LONGEST_SIDE,), (axis,))
            first = graph.node("Slice", image, (0,), (1,), (axis,))
            if references.wraps:
                following = graph.node("Concat", following, first, axis=axis)
                difference = graph.node("Sub", following, image)
            else:
                preceding = graph.node("Slice", image, (0,), (-1,), (axis,))
                difference = graph.node("Sub", following, preceding)
            if self._options.power == 1:
                powers = graph.node("Abs", difference)
            else:
                powers = graph.node("Mul", difference, difference)
            losses.append(sum_of_elements(graph, powers))
        loss = graph.node("Add", *losses)
        if self._options.reduction == "mean":
            loss = graph.node("Div", loss, number_of_elements(graph, image))
        return loss

    def _loss(self, wraps: bool, features: Features) -> Tensor:
        image = features[IMAGE_LAYER]
        horizontal, vertical = (
            image.diff(dim=dim, append=image.narrow(dim, 0, 1) if wraps else None) for dim in (3, 2)
        )
        loss = self._total(horizontal) + self._total(vertical)
        return loss / image[0].numel() if self._options.reduction == "mean" else loss

    def _total(self, difference: Tensor) -> Tensor:
        return (difference.abs() if self._options.power == 1 else difference.square()).sum()


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
