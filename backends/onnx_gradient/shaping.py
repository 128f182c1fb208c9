"""Gradient rules for operators that move elements without changing them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
import onnx

from .backward import BackwardGraph, Rule
from .forward import Node


def _reshape(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Restore the input's shape; also the rule of Flatten, Squeeze and Unsqueeze."""
    return {0: graph.emit("Reshape", gradient, graph.shape(node.inputs[0]))}


def _transpose(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    rank = len(graph.forward.dimensions(node.inputs[0]))
    order = node.attributes.get("perm", range(rank)[::-1])
    return {0: graph.emit("Transpose", gradient, perm=[int(axis) for axis in np.argsort(order)])}


def _concat(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Split the gradient into parts, whose sizes may be known only when the graph runs."""
    rank = len(graph.forward.dimensions(node.outputs[0]))
    axis = node.attributes["axis"] % rank
    dimension = graph.integers(axis)
    sizes = [graph.emit("Gather", graph.shape(value), dimension) for value in node.inputs]
    split = graph.emit("Concat", *sizes, axis=0)
    parts = graph.emit_many("Split", (gradient, split), len(node.inputs), axis=axis)
    return {position: parts[position] for position in node.active}


def _slice(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Put the gradient at the positions that the slice takes, and zeros at all others.

    The positions are found by slicing 0, 1, ... in the same way, so that negative and exceeding
    bounds need no rules of their own.
    """
    if len(node.inputs) == 1:
        raise node.unsupported("it is of an opset before 10")
    rank = len(graph.forward.dimensions(node.inputs[0]))
    starts, ends = (graph.saved(node.inputs[position]) for position in (1, 2))
    steps = graph.saved(node.inputs[4]) if node.input(4) else ""
    contiguous = not steps or bool((graph.forward.constants.get(steps, np.zeros(1)) == 1).all())
    sizes = graph.shape(node.inputs[0])
    for number, axis in enumerate(_sliced_axes(graph, node)):
        index = graph.integers(number)
        size = graph.emit("Gather", sizes, graph.integers(axis % rank))
        raw_bounds = [graph.emit("Gather", bound, index) for bound in (starts, ends)]
        bounds = [graph.emit("Cast", bound, to=onnx.TensorProto.INT64) for bound in raw_bounds]
        if steps:
            step = graph.emit("Cast", graph.emit("Gather", steps, index), to=onnx.TensorProto.INT64)
            bounds += [graph.integers(0), step]
        positions = graph.emit("Slice", _positions(graph, size), *bounds)
        insert = _embedded if contiguous else partial(_scattered, rank=rank)
        gradient = insert(graph, gradient, positions, size, axis % rank)
    return {0: gradient}


def _gather(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Restore the axis of which one position is taken, with zeros at the others."""
    if node.active != {0}:
        raise node.unsupported("its indices depend on the image")
    index = graph.forward.constant(node.inputs[1], node)
    if index.ndim != 0:
        raise node.unsupported("it takes more than one position")
    axis = node.attributes.get("axis", 0) % len(graph.forward.dimensions(node.inputs[0]))
    size = graph.emit("Gather", graph.shape(node.inputs[0]), graph.integers(axis))
    positions = graph.integers(int(index))
    if index < 0:
        positions = graph.emit("Add", size, positions)
    expanded = graph.emit("Unsqueeze", gradient, graph.integers(axis))
    return {0: _embedded(graph, expanded, positions, size, axis)}


def _sliced_axes(graph: BackwardGraph, node: Node) -> list[int]:
    if node.input(3):
        return [int(axis) for axis in graph.forward.constant(node.inputs[3], node)]
    (count,) = graph.forward.dimensions(node.inputs[1])
    if not isinstance(count, int):
        raise node.unsupported("the number of its axes is unknown")
    return list(range(count))


def _positions(graph: BackwardGraph, size: str) -> str:
    """Return the positions 0, 1, ... below a size (a vector of one element)."""
    zero, one = graph.constant(np.array(0)), graph.constant(np.array(1))
    return graph.emit("Range", zero, graph.emit("Squeeze", size, graph.integers(0)), one)


def _embedded(graph: BackwardGraph, gradient: str, positions: str, size: str, axis: int) -> str:
    """Put contiguous parts between zeros."""
    first = graph.emit("Gather", positions, graph.integers(0))
    last = graph.emit("Gather", positions, graph.integers(-1))
    after = graph.emit("Sub", graph.emit("Sub", size, graph.integers(1)), last)
    pads = graph.emit("Concat", first, after, axis=0)
    return graph.emit("Pad", gradient, pads, "", graph.integers(axis))


def _scattered(
    graph: BackwardGraph, gradient: str, positions: str, size: str, axis: int, rank: int
) -> str:
    """Put parts that are apart, or in another order, among zeros."""
    shape = graph.emit("Shape", gradient)
    full_shape = graph.emit("ScatterElements", shape, graph.integers(axis), size, axis=0)
    zeros = graph.emit("CastLike", graph.emit("ConstantOfShape", full_shape), gradient)
    column = graph.integers(-1, *[1] * (rank - axis - 1))
    indices = graph.emit("Expand", graph.emit("Reshape", positions, column), shape)
    return graph.emit("ScatterElements", zeros, indices, gradient, axis=axis)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "Concat": _concat,
        "Flatten": _reshape,
        "Gather": _gather,
        "Reshape": _reshape,
        "Slice": _slice,
        "Squeeze": _reshape,
        "Transpose": _transpose,
        "Unsqueeze": _reshape,
    }
)
