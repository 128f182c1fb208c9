"""Shared parts of the ONNX forms of loss terms: means over positions, sums of squares."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial, reduce
from typing import TYPE_CHECKING

from ....core.interfaces.terms import LossGraph, Region
from .sums import TINY

if TYPE_CHECKING:
    from torch import Tensor


def mean_weights(region: Region, layer: str) -> Tensor | None:
    """Return the weights (1, 1, H, W) of a mean over the positions; None if they are equal.

    They add up to 1, or are all zero.
    """
    return region[layer] / region[layer].sum().clamp_min(TINY) if region else None


def mean_over_positions(graph: LossGraph, maps: str, weights: Tensor | None) -> str:
    """Return the mean (1, C, 1, 1) of maps (1, C, H, W) over the positions."""
    operator = "ReduceMean" if weights is None else "ReduceSum"
    weighted = maps if weights is None else graph.node("Mul", maps, weights)
    return graph.node(operator, graph.node(operator, weighted, (3,), keepdims=1), (2,), keepdims=1)


def mean_products(graph: LossGraph, maps: str, weights: Tensor | None) -> str:
    """Return the mean (1, C, C) over the positions of the products of two maps (1, C, H, W)."""
    rows = graph.node("Reshape", maps, (0, 0, -1))
    columns = graph.node("Transpose", rows, perm=[0, 2, 1])
    if weights is not None:
        return graph.node("MatMul", graph.node("Mul", rows, weights.flatten(2)), columns)
    positions = graph.node("Cast", graph.node("Shape", rows, start=2), to=graph.element)
    return graph.node("Div", graph.node("MatMul", rows, columns), positions)


def sum_of_elements(graph: LossGraph, value: str) -> str:
    """Return the sum of all elements of a value of two dimensions or more, a scalar.

    ONNX Runtime adds the numbers of one reduction one after the other, in float32: 16 million are
    off by 3e-4. The two last axes are therefore added one at a time, and then the rest.
    """
    row_sums = graph.node("ReduceSum", value, (-1,), keepdims=0)
    return graph.node("ReduceSum", graph.node("ReduceSum", row_sums, (-1,), keepdims=0), keepdims=0)


def sum_of_squares(graph: LossGraph, value: str) -> str:
    """Return the sum of the squares of all elements, a scalar."""
    return sum_of_elements(graph, graph.node("Mul", value, value))


def squared_distance(graph: LossGraph, value: str, target: Tensor) -> str:
    """Return the sum of the squared differences from a constant of the same shape, a scalar."""
    return sum_of_squares(graph, graph.node("Sub", value, target))


def number_of_elements(graph: LossGraph, value: str) -> str:
    """Return the number of elements of a value, a scalar of the graph's floating type."""
    return graph.node("Cast", graph.node("Size", value), to=graph.element)


def total(graph: LossGraph, losses: Iterable[str]) -> str:
    """Return the sum of at least one scalar."""
    return reduce(partial(graph.node, "Add"), losses)
