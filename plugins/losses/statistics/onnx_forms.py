"""What the ONNX forms of several loss terms share: rows, means over positions, sums of squares."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial, reduce
from typing import TYPE_CHECKING

from ....core.interfaces.terms import LossGraph, Region
from .sums import TINY, weights_of

if TYPE_CHECKING:
    from torch import Tensor


def rows_of(graph: LossGraph, layer: str) -> str:
    """Return the result's features at a layer with the positions in a row, (1, C, M)."""
    return graph.node("Reshape", graph.layer(layer), (0, 0, -1))


def mean_weights(region: Region, layer: str) -> Tensor | None:
    """Return the weights (1, 1, M) of a mean over the positions; None if they are equal.

    They add up to 1, or are all zero.
    """
    weights = weights_of(region, layer)
    return None if weights is None else weights / weights.sum().clamp_min(TINY)


def mean_of_rows(graph: LossGraph, rows: str, weights: Tensor | None) -> str:
    """Return the mean (1, C, 1) of rows (1, C, M) over the positions."""
    if weights is None:
        return graph.node("ReduceMean", rows, (2,), keepdims=1)
    return graph.node("ReduceSum", graph.node("Mul", rows, weights), (2,), keepdims=1)


def mean_products(graph: LossGraph, rows: str, weights: Tensor | None) -> str:
    """Return the mean (1, C, C) of the products of two channels of rows (1, C, M)."""
    columns = graph.node("Transpose", rows, perm=[0, 2, 1])
    if weights is not None:
        return graph.node("MatMul", graph.node("Mul", rows, weights), columns)
    positions = graph.node("Cast", graph.node("Shape", rows, start=2), to=graph.element)
    return graph.node("Div", graph.node("MatMul", rows, columns), positions)


def sum_of_squares(graph: LossGraph, value: str) -> str:
    """Return the sum of the squares of all elements, a scalar."""
    return graph.node("ReduceSum", graph.node("Mul", value, value), keepdims=0)


def squared_distance(graph: LossGraph, value: str, target: Tensor) -> str:
    """Return the sum of the squared differences from a constant of the same shape, a scalar."""
    return sum_of_squares(graph, graph.node("Sub", value, target))


def number_of_elements(graph: LossGraph, value: str) -> str:
    """Return the number of elements of a value, a scalar of the graph's floating type."""
    return graph.node("Cast", graph.node("Size", value), to=graph.element)


def total(graph: LossGraph, losses: Iterable[str]) -> str:
    """Return the sum of at least one scalar."""
    return reduce(partial(graph.node, "Add"), losses)
