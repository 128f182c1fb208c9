"""Temporal loss of video: differences from the warped results of former frames.

Ruder, Dosovitskiy and Brox 2016, "Artistic Style Transfer for Videos", equations 7 to 9.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ....core.interfaces.backend import Features
from ....core.interfaces.specs import LossTermArguments, LossTermSpec, NoOptions
from ....core.interfaces.terms import IMAGE_LAYER, Loss, LossGraph, LossTerm, References
from ....core.interfaces.video.former import FormerResult
from ... import hooks
from ..statistics.onnx_forms import number_of_elements, sum_of_elements

if TYPE_CHECKING:
    from torch import Tensor


class TemporalLoss(LossTerm):
    """Squared differences from warped former results, where these are reliable.

        1/D sum_j sum_k c_jk (x_k - w_jk)^2

    x is the result, w_j the result of a former frame, warped by the optical flow, c_j its
    reliability in [0, 1], and D the number of values, 3 for each pixel.

    On pixels (N, 3, H, W) in [0, 1]; summed over the batch. The loss reads the whole image at once,
    which needs no network and little memory, so that tiles are not needed.
    """

    layers = (IMAGE_LAYER,)
    reads = frozenset({"former"})
    balanced = False

    def __init__(self, arguments: LossTermArguments[NoOptions]) -> None:
        pass

    def bind(self, references: References) -> Loss:
        """Return the loss for the former results of the references."""
        return partial(_loss, references.former)

    def onnx_loss(self, references: References, graph: LossGraph) -> str:
        """Add the nodes of the loss; see LossTerm.onnx_loss."""
        image = graph.layer(IMAGE_LAYER)
        losses = []
        for former in references.former:
            difference = graph.node("Sub", image, former.image)
            squares = graph.node("Mul", difference, difference)
            weighted = graph.node("Mul", squares, former.reliability)
            losses.append(sum_of_elements(graph, weighted))
        total = losses[0]
        for loss in losses[1:]:
            total = graph.node("Add", total, loss)
        return graph.node("Div", total, number_of_elements(graph, image))


def _loss(former_results: Sequence[FormerResult], features: Features) -> Tensor:
    image = features[IMAGE_LAYER]
    total = image.new_zeros(())
    for former in former_results:
        weights = former.reliability.to(image)
        total = total + (weights * (image - former.image.to(image)).square()).sum()
    return total / image[0].numel()


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `temporal`."""
    yield LossTermSpec(
        name="temporal",
        summary="video: differences from the warped results of former frames",
        create=TemporalLoss,
        options=NoOptions,
        layers_from="image",
    )
