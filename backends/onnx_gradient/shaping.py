"""Rules for operators that move elements without changing them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
import onnx

from .backward import BackwardGraph, Rule
from .forward import Node


def _reshape(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Also for Flatten, Squeeze and Unsqueeze."""
    return {0: graph.emit("Reshape", gradient, graph.shape(node.inputs[0]))}


def _transpose(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    rank = len(graph.forward.dimensions(node.inputs[0]))
    order = node.attributes.get("perm", range(rank)[::-1])
    return {0: graph.emit("Transpose", gradient, perm=[int(each) for each in np.argsort(order)])}


def _concat(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Split again, into parts whose sizes may be known only when the graph runs."""
    rank = len(graph.forward.dimensions(node.outputs[0]))
    axis = node.attributes["axis"] % rank
    at = graph.integers(axis)
    sizes = [graph.emit("Gather", graph.shape(value), at) for value in node.inputs]
    split = graph.emit("Concat", *sizes, axis=0)
    parts = graph.emit_many("Split", (gradient, split), len(node.inputs), axis=axis)
    return {position: parts[position] for position in node.active}


def _slice(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Zeros everywhere else. What a slice takes is found by slicing positions in the same way, so
    that negative and exceeding bounds need no rules of their own."""
    if len(node.inputs) == 1:
        raise node.refuse("it is of an opset before 10")
    rank = len(graph.forward.dimensions(node.inputs[0]))
    starts, ends = (graph.saved(node.inputs[at]) for at in (1, 2))
    steps = graph.saved(node.inputs[4]) if node.input(4) else ""
    unit = not steps or bool((graph.forward.constants.get(steps, np.zeros(1)) == 1).all())
    sizes = graph.shape(node.inputs[0])
    for number, axis in enumerate(_sliced_axes(graph, node)):
        at = graph.integers(number)
        size = graph.emit("Gather", sizes, graph.integers(axis % rank))
        given = [graph.emit("Gather", each, at) for each in (starts, ends)]
        bounds = [graph.emit("Cast", each, to=onnx.TensorProto.INT64) for each in given]
        if steps:
            step = graph.emit("Cast", graph.emit("Gather", steps, at), to=onnx.TensorProto.INT64)
            bounds += [graph.integers(0), step]
        taken = graph.emit("Slice", _positions(graph, size), *bounds)
        put = _embedded if unit else partial(_scattered, rank=rank)
        gradient = put(graph, gradient, taken, size, axis % rank)
    return {0: gradient}


def _gather(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """One position of an axis, which has gone: zeros at the others."""
    if node.active != {0}:
        raise node.refuse("its indices depend on the image")
    index = graph.forward.constant(node.inputs[1], node)
    if index.ndim != 0:
        raise node.refuse("it takes more than one position")
    axis = node.attributes.get("axis", 0) % len(graph.forward.dimensions(node.inputs[0]))
    size = graph.emit("Gather", graph.shape(node.inputs[0]), graph.integers(axis))
    taken = graph.integers(int(index))
    if index < 0:
        taken = graph.emit("Add", size, taken)
    kept = graph.emit("Unsqueeze", gradient, graph.integers(axis))
    return {0: _embedded(graph, kept, taken, size, axis)}


def _sliced_axes(graph: BackwardGraph, node: Node) -> list[int]:
    if node.input(3):
        return [int(axis) for axis in graph.forward.constant(node.inputs[3], node)]
    (count,) = graph.forward.dimensions(node.inputs[1])
    if not isinstance(count, int):
        raise node.refuse("the number of its axes is unknown")
    return list(range(count))


def _positions(graph: BackwardGraph, size: str) -> str:
    """0, 1, ... up to a size (a vector of one element)."""
    zero, one = graph.constant(np.array(0)), graph.constant(np.array(1))
    return graph.emit("Range", zero, graph.emit("Squeeze", size), one)


def _embedded(graph: BackwardGraph, gradient: str, taken: str, size: str, axis: int) -> str:
    """Parts that were side by side, between zeros."""
    first = graph.emit("Gather", taken, graph.integers(0))
    last = graph.emit("Gather", taken, graph.integers(-1))
    after = graph.emit("Sub", graph.emit("Sub", size, graph.integers(1)), last)
    pads = graph.emit("Concat", first, after, axis=0)
    return graph.emit("Pad", gradient, pads, "", graph.integers(axis))


def _scattered(
    graph: BackwardGraph, gradient: str, taken: str, size: str, axis: int, rank: int
) -> str:
    """Parts that were apart, or in another order, among zeros."""
    shape = graph.emit("Shape", gradient)
    whole = graph.emit("ScatterElements", shape, graph.integers(axis), size, axis=0)
    zeros = graph.emit("CastLike", graph.emit("ConstantOfShape", whole), gradient)
    column = graph.integers(-1, *[1] * (rank - axis - 1))
    places = graph.emit("Expand", graph.emit("Reshape", taken, column), shape)
    return graph.emit("ScatterElements", zeros, places, gradient, axis=axis)


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
