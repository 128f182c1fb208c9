"""Softmax over all activations of a layer, over its channels and positions together.

Wang, Li and Vasconcelos 2021, "Rethinking and Improving the Robustness of Image Style Transfer",
smooth activations by it before the losses, so that the few large activations of a residual network
do not count for everything. Here it is multiplied by the number of the activations and has a
temperature T:

    S = n exp(F / T) / sum exp(F / T),

whose mean is 1 at every size, and T is a multiple of the reference's root mean square, so that S
does not depend on the units of the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from pydantic import Field

from ....core.interfaces.terms import LossGraph, Operand, Style
from .onnx_forms import mean_over_positions
from .sums import double, weighted

if TYPE_CHECKING:
    from torch import Tensor


def softmax_field(reference: str) -> float | None:
    """Declare the option `softmax` of a loss term; `reference` names what it is relative to."""
    field: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="smooth the activations by a softmax over the layer, at this temperature "
        f"relative to the root mean square of the {reference}'s activations; unset: no smoothing",
    )
    return field


@dataclass(frozen=True)
class Exponential:
    """Function exp(F / T - c) of a layer's activations F; the softmax does not depend on c."""

    temperature: float
    shift: float

    def __call__(self, maps: Tensor) -> Tensor:
        """Return the exponentials of maps (N, C, H, W)."""
        return (maps / self.temperature).sub_(self.shift).exp_()


def exponentials_of(
    styles: Iterable[Style], layers: Iterable[str], factor: float
) -> Mapping[str, Exponential]:
    """Return each layer's exponential, T = `factor` times the styles' root mean square.

    c is the middle of the range of F / T: squares of exponentials stay in the range of float32 up
    to a range of 80. Styles count by their weights.
    """
    layers, total = tuple(layers), 0.0
    squares = dict.fromkeys(layers, 0.0)
    ranges = dict.fromkeys(layers, (float("inf"), float("-inf")))
    for style in styles:
        total += style.weight
        for layer in layers:
            maps, (least, greatest) = style.features[layer], ranges[layer]
            squares[layer] += style.weight * maps.square().mean().item()
            low, high = (extreme.item() for extreme in maps.aminmax())
            ranges[layer] = min(least, low), max(greatest, high)
        del style, maps  # the next style's features are computed when it is taken
    exponentials = {}
    for layer in layers:
        temperature = temperature_of(squares[layer] / total, factor)
        exponentials[layer] = Exponential(temperature, sum(ranges[layer]) / 2 / temperature)
    return exponentials


@dataclass(frozen=True)
class ReferenceSoftmax:
    """Constants of the softmax P of a layer's activations in a reference image.

    - `exponential`: the function from the activations to P.
    - `count`: the number of activations, or the sum of their weights.
    - `squares`: the sum of P^2, times the weights.
    - `deviations`: the sum of (P - 1)^2, without weights.
    - `elements`: the number of activations.
    """

    exponential: Exponential
    count: float
    squares: float
    deviations: float
    elements: int


def reference_softmax(maps: Tensor, weights: Tensor | None, factor: float) -> ReferenceSoftmax:
    """Return the constants of the softmax of maps (1, C, H, W), T = `factor` times their rms.

    `weights` (1, 1, M) are those of the positions. The mean of P is 1, with these weights.
    """
    maps = double(maps)
    weights = None if weights is None or not weights.any() else double(weights)
    temperature = temperature_of(maps.square().mean().item(), factor)
    greatest = maps.max().item() / temperature
    count = maps.numel() if weights is None else maps.shape[1] * weights.sum().item()
    exponentials = weighted(Exponential(temperature, greatest)(maps).flatten(2), weights)
    exponential = Exponential(temperature, greatest + log(exponentials.sum().item() / count))
    softmax = exponential(maps).flatten(2)
    return ReferenceSoftmax(
        exponential,
        count,
        squares=weighted(softmax.square(), weights).sum().item(),
        deviations=(softmax - 1).square().sum().item(),
        elements=maps.numel(),
    )


def onnx_softmax(
    graph: LossGraph, maps: str, temperature: Operand, shift: Operand, weights: Tensor | None
) -> str:
    """Return the softmax S of maps (1, C, H, W); `weights` are those of `mean_weights`."""
    scaled = graph.node("Sub", graph.node("Div", maps, temperature), shift)
    exponentials = graph.node("Exp", scaled)
    means = mean_over_positions(graph, exponentials, weights)
    return graph.node("Div", exponentials, graph.node("ReduceMean", means, keepdims=0))


def temperature_of(mean_square: float, factor: float) -> float:
    """Return `factor` times the root of a mean square; 1 if it is zero, for a black reference."""
    return factor * mean_square**0.5 or 1.0
