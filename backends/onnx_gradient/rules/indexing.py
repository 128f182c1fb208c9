"""Gradient rules for operators that take or replace the elements at given positions."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ..backward import BackwardGraph, Rule
from ..forward import Node
from .shaping import zeros


def _gather(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Add the gradient at the positions that were taken, with zeros at the others."""
    value, indices = node.inputs
    rank = len(graph.forward.dimensions(value))
    axis = node.attributes.get("axis", 0) % rank
    size = graph.forward.dimensions(value)[axis]
    positions = graph.forward.constants.get(indices)
    rows = _rows(graph, node, gradient, axis, rank)
    if positions is not None and isinstance(size, int):
        wrapped = np.where(positions < 0, positions + size, positions).reshape(-1)
        if len(np.unique(wrapped)) == len(wrapped):
            return {0: _sorted(graph, rows, wrapped, size, axis)}
    column = graph.integers(-1, *[1] * (rank - axis - 1))
    flat = graph.emit("Reshape", graph.saved(indices), column)
    repeated = graph.emit("Expand", flat, graph.emit("Shape", rows))
    return {0: _scattered(graph, node, rows, repeated, axis)}


def _rows(graph: BackwardGraph, node: Node, gradient: str, axis: int, rank: int) -> str:
    """Return the gradient with one axis in place of those that the indices have."""
    if len(graph.forward.dimensions(node.inputs[1])) == 1:
        return gradient
    sizes = graph.shape(node.inputs[0])
    pieces = [
        graph.emit("Slice", sizes, graph.integers(0), graph.integers(axis)),
        graph.integers(-1),
        graph.emit("Slice", sizes, graph.integers(axis + 1), graph.integers(rank)),
    ]
    return graph.emit("Reshape", gradient, graph.emit("Concat", *pieces, axis=0))


def _sorted(
    graph: BackwardGraph, rows: str, positions: np.ndarray[Any, Any], size: int, axis: int
) -> str:
    """Put rows at different positions in order, and a row of zeros at all others."""
    sources = np.full(size, len(positions))
    sources[positions] = np.arange(len(positions))
    if len(positions) < size:
        rows = graph.emit("Pad", rows, graph.integers(0, 1), "", graph.integers(axis))
    return graph.emit("Gather", rows, graph.integers(*sources.tolist()), axis=axis)


def _gather_elements(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    axis = node.attributes.get("axis", 0)
    return {0: _scattered(graph, node, gradient, graph.saved(node.inputs[1]), axis)}


def _gather_nd(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Add the gradient at the positions that were taken.

    With batch_dims, the leading dimensions are joined, and the number of the batch becomes the
    first coordinate of each position.
    """
    value, indices = node.inputs
    batches = node.attributes.get("batch_dims", 0)
    if not batches:
        inputs = zeros(graph, value), graph.saved(indices), gradient
        return {0: graph.emit("ScatterND", *inputs, reduction="add")}
    sizes, joined = graph.shape(value), graph.integers(-1)
    rank = len(graph.forward.dimensions(indices))
    (count,) = graph.forward.dimensions(indices)[rank - 1 :]
    if not isinstance(count, int):
        raise node.unsupported("the number of its coordinates is unknown")
    batch = graph.emit("Slice", sizes, graph.integers(0), graph.integers(batches))
    total = graph.emit("ReduceProd", batch, keepdims=0)
    numbers = graph.emit("Range", graph.constant(np.array(0)), total, graph.constant(np.array(1)))
    total = graph.emit("Unsqueeze", total, graph.integers(0))

    def by_batch(array: str, *rest: str) -> str:
        return graph.emit("Reshape", array, graph.emit("Concat", total, *rest, axis=0))

    rows = by_batch(graph.saved(indices), joined, graph.integers(count))
    numbers = graph.emit("Unsqueeze", numbers, graph.integers(1, 2))
    row_sizes = graph.emit("Slice", graph.emit("Shape", rows), graph.integers(0), graph.integers(2))
    shape = graph.emit("Concat", row_sizes, graph.integers(1), axis=0)
    positions = graph.emit("Concat", graph.emit("Expand", numbers, shape), rows, axis=2)
    end = graph.integers(len(graph.forward.dimensions(value)))
    taken = graph.emit("Slice", sizes, graph.integers(batches + count), end)
    scattered = graph.emit(
        "ScatterND",
        by_batch(zeros(graph, value), graph.emit("Slice", sizes, graph.integers(batches), end)),
        positions,
        by_batch(gradient, joined, taken),
        reduction="add",
    )
    return {0: graph.emit("Reshape", scattered, sizes)}


def _scatter(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Take the updates' gradient from their positions; also the rule of ScatterND.

    The data's gradient is zero there, unless the updates were added.
    """
    reduction = node.attributes.get("reduction", b"none").decode()
    if reduction not in ("none", "add"):
        raise node.unsupported(f"its reduction is {reduction}")
    several = node.operator == "ScatterND"
    settings = {} if several else {"axis": node.attributes.get("axis", 0)}
    indices, gradients = graph.saved(node.inputs[1]), {}
    if 0 in node.active and reduction == "add":
        gradients[0] = gradient
    elif 0 in node.active:
        scatter = "ScatterND" if several else "ScatterElements"
        nothing = zeros(graph, node.inputs[2])
        gradients[0] = graph.emit(scatter, gradient, indices, nothing, **settings)
    if 2 in node.active:
        gather = "GatherND" if several else "GatherElements"
        gradients[2] = graph.emit(gather, gradient, indices, **settings)
    return gradients


def _top_k(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    if len(node.outputs) < 2 or not node.outputs[1]:
        raise node.unsupported("it does not return the positions")
    axis = node.attributes.get("axis", -1)
    return {0: _scattered(graph, node, gradient, graph.saved(node.outputs[1]), axis)}


def _scattered(graph: BackwardGraph, node: Node, rows: str, indices: str, axis: int) -> str:
    nothing = zeros(graph, node.inputs[0])
    return graph.emit("ScatterElements", nothing, indices, rows, axis=axis, reduction="add")


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "Gather": _gather,
        "GatherElements": _gather_elements,
        "GatherND": _gather_nd,
        "Scatter": _scatter,
        "ScatterElements": _scatter,
        "ScatterND": _scatter,
        "TopK": _top_k,
    }
)
