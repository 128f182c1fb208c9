"""Gradient rules for operators that move, repeat or join elements without changing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np
import onnx

from ..backward import BackwardGraph, Rule, RuleOfSeveralOutputs
from ..forward import Node
from .elementwise import unbroadcast


def _reshape(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Restore the input's shape; also the rule of Flatten, Squeeze and Unsqueeze."""
    return {0: graph.emit("Reshape", gradient, graph.shape(node.inputs[0]))}


def _transpose(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    order = node.attributes.get("perm")
    if order is None:
        order = range(len(graph.forward.dimensions(node.inputs[0])))[::-1]
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


def _split(graph: BackwardGraph, node: Node, gradients: Sequence[str]) -> Mapping[int, str]:
    """Join the gradients of the parts, with zeros for parts that are not used."""
    rank = len(graph.forward.dimensions(node.inputs[0]))
    parts = [
        part or zeros(graph, output) for part, output in zip(gradients, node.outputs, strict=True)
    ]
    return {0: graph.emit("Concat", *parts, axis=node.attributes.get("axis", 0) % rank)}


def zeros(graph: BackwardGraph, value: str) -> str:
    """Return zeros of the shape and type of a value of the forward graph."""
    zero = onnx.helper.make_tensor("zero", graph.forward.type(value).element, [1], [0])
    return graph.emit("ConstantOfShape", graph.shape(value), value=zero)


def _expand(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    return {0: unbroadcast(graph, gradient, node, 0)}


def _tile(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Add up the repetitions: (r a, s b, ...) becomes (r, a, s, b, ...), summed over r, s, ..."""
    rank = len(graph.forward.dimensions(node.inputs[0]))
    column = graph.integers(-1, 1)
    counts = graph.emit("Reshape", graph.saved(node.inputs[1]), column)
    sizes = graph.emit("Reshape", graph.shape(node.inputs[0]), column)
    pairs = graph.emit("Reshape", graph.emit("Concat", counts, sizes, axis=1), graph.integers(-1))
    repeated = graph.emit("Reshape", gradient, pairs)
    repetitions = graph.integers(*range(0, 2 * rank, 2))
    return {0: graph.emit("ReduceSum", repeated, repetitions, keepdims=0)}


def _depth_to_space(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Move blocks back into channels; the inverse of either order of channels and blocks."""
    block = node.attributes["blocksize"]
    sizes, side = graph.shape(node.inputs[0]), graph.integers(block)
    batch, channels, height, width = (
        graph.emit("Gather", sizes, graph.integers(axis)) for axis in range(4)
    )
    depth = graph.emit("Div", channels, graph.integers(block**2))
    shape = graph.emit("Concat", batch, depth, height, side, width, side, axis=0)
    blocks_last = node.attributes.get("mode", b"DCR") == b"CRD"
    blocks = graph.emit(
        "Transpose",
        graph.emit("Reshape", gradient, shape),
        perm=[0, 1, 3, 5, 2, 4] if blocks_last else [0, 3, 5, 1, 2, 4],
    )
    return {0: graph.emit("Reshape", blocks, sizes)}


def _space_to_depth(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    return {0: graph.emit("DepthToSpace", gradient, blocksize=node.attributes["blocksize"])}


def _triangle(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    diagonal = [graph.saved(node.inputs[1])] if node.input(1) else []
    return {0: graph.emit("Trilu", gradient, *diagonal, upper=node.attributes.get("upper", 1))}


def _cumulative_sum(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Add up from the other end."""
    exclusive, backwards = (node.attributes.get(key, 0) for key in ("exclusive", "reverse"))
    axis = graph.saved(node.inputs[1])
    total = graph.emit("CumSum", gradient, axis, exclusive=exclusive, reverse=1 - backwards)
    return {0: total}


def _slice(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Put the gradient at the positions that the slice takes, and zeros at all others.

    The positions are found by slicing 0, 1, ... in the same way, so that negative and exceeding
    bounds need no rules of their own.
    """
    rank = len(graph.forward.dimensions(node.inputs[0]))
    if "starts" in node.attributes:  # before opset 10
        starts, ends = (graph.integers(*node.attributes[key]) for key in ("starts", "ends"))
    else:
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


def _sliced_axes(graph: BackwardGraph, node: Node) -> list[int]:
    if node.input(3):
        return [int(axis) for axis in graph.forward.constant(node.inputs[3], node)]
    if "starts" in node.attributes:  # before opset 10
        return list(node.attributes.get("axes", range(len(node.attributes["starts"]))))
    (count,) = graph.forward.dimensions(node.inputs[1])
    if not isinstance(count, int):
        raise node.unsupported("the number of its axes is unknown")
    return list(range(count))


def _positions(graph: BackwardGraph, size: str) -> str:
    """Return the positions 0, 1, ... below a size (a vector of one element)."""
    zero, one = graph.constant(np.array(0)), graph.constant(np.array(1))
    return graph.emit("Range", zero, graph.emit("Squeeze", size, graph.integers(0)), one)


def _embedded(graph: BackwardGraph, gradient: str, positions: str, size: str, axis: int) -> str:
    """Put contiguous parts between zeros; all are zeros where the slice is empty."""
    zero = graph.integers(0)
    first = graph.emit("Gather", graph.emit("Concat", positions, zero, axis=0), zero)
    end = graph.emit("Add", first, graph.emit("Shape", positions))
    after = graph.emit("Sub", size, end)
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
        "CumSum": _cumulative_sum,
        "DepthToSpace": _depth_to_space,
        "Expand": _expand,
        "Flatten": _reshape,
        "Reshape": _reshape,
        "Slice": _slice,
        "SpaceToDepth": _space_to_depth,
        "Squeeze": _reshape,
        "Tile": _tile,
        "Transpose": _transpose,
        "Trilu": _triangle,
        "Unsqueeze": _reshape,
    }
)

RULES_OF_SEVERAL_OUTPUTS: Mapping[str, RuleOfSeveralOutputs] = MappingProxyType({"Split": _split})
