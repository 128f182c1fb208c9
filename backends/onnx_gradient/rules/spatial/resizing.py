"""The gradient rule for resizing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx

from ...backward import BackwardGraph, Rule
from ...forward import Node

_ATTRIBUTES = (
    *("mode", "coordinate_transformation_mode", "nearest_mode", "cubic_coeff_a"),
    *("antialias", "exclude_outside"),
)


def _resize(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Multiply the gradient by the transposed matrix of each axis; also the rule of Upsample.

    Resizing multiplies the rows along each axis by a matrix. It is a resized identity matrix,
    whatever the mode is.
    """
    rank = len(graph.forward.dimensions(node.inputs[0]))
    if node.attributes.get("coordinate_transformation_mode") == b"tf_crop_and_resize":
        raise node.unsupported("it crops")
    if node.attributes.get("keep_aspect_ratio_policy", b"stretch") != b"stretch":
        raise node.unsupported("it keeps the aspect ratio")
    for number, axis in enumerate(_axes(graph, node, rank)):
        if _is_resized(graph, node, number, axis):
            matrix = _matrix(graph, node, number, axis)
            gradient = _multiplied(graph, gradient, matrix, axis, rank)
    return {0: gradient}


def _multiplied(graph: BackwardGraph, gradient: str, matrix: str, axis: int, rank: int) -> str:
    """Multiply the gradient along an axis by the transpose of a matrix."""
    if axis == rank - 1:
        return graph.emit("MatMul", gradient, matrix)
    if axis == rank - 2:
        return graph.emit("MatMul", graph.emit("Transpose", matrix, perm=[1, 0]), gradient)
    order = [*(other for other in range(rank) if other != axis), axis]
    product = graph.emit("MatMul", graph.emit("Transpose", gradient, perm=order), matrix)
    return graph.emit("Transpose", product, perm=[int(place) for place in np.argsort(order)])


def _axes(graph: BackwardGraph, node: Node, rank: int) -> list[int]:
    return [axis % rank for axis in node.attributes.get("axes", range(rank))]


def _is_resized(graph: BackwardGraph, node: Node, number: int, axis: int) -> bool:
    """Return whether an axis may have another size, or other values, after the resizing."""
    before, after = (
        graph.forward.dimensions(value)[axis] for value in (node.inputs[0], node.outputs[0])
    )
    if node.input(3):  # sizes
        # The runtime resizes no batch but in the mode `nearest`.
        batch = axis == 0 and node.attributes.get("mode", b"nearest") != b"nearest"
        return not batch and (before is None or before != after)
    factors = _factors(graph, node)
    return factors is None or factors[number] != 1


def _factors(graph: BackwardGraph, node: Node) -> np.ndarray[Any, Any] | None:
    """Return the factors of the axes; None if they are sizes or no constants."""
    if "scales" in node.attributes:  # Upsample before opset 9
        return np.array(node.attributes["scales"], np.float32)
    return graph.forward.constants.get(_factors_input(node))


def _factors_input(node: Node) -> str:
    """Return the name of the factors, whose place is the second before opset 11."""
    return node.input(2) if len(node.inputs) > 2 else node.input(1)


def _matrix(graph: BackwardGraph, node: Node, number: int, axis: int) -> str:
    """Return the matrix (size after, size before) that resizes one axis."""
    value = node.inputs[0]
    size = graph.emit("Gather", graph.shape(value), graph.integers(axis))
    square = graph.emit("Concat", size, size, axis=0)
    one = onnx.numpy_helper.from_array(np.ones(1, np.float32))
    # Only the rows of the identity are resized: the factor of its columns is one.
    identity = graph.emit("EyeLike", graph.emit("ConstantOfShape", square, value=one))
    image = graph.emit("Unsqueeze", identity, graph.integers(0, 1))
    ones = graph.integers(1, 1)
    index = graph.integers(number)
    if node.input(3):
        after = graph.emit("Gather", graph.saved(node.inputs[3]), index)
        target = ("", "", graph.emit("Concat", ones, after, size, axis=0))
    else:
        if "scales" in node.attributes:
            scale = node.attributes["scales"][number]
            factor = graph.constant(np.array([scale], np.float32))
        else:
            factor = graph.emit("Gather", graph.saved(_factors_input(node)), index)
        one_float = graph.constant(np.ones(1, np.float32))
        target = ("", graph.emit("Concat", one_float, one_float, factor, one_float, axis=0), "")
    attributes = {key: node.attributes[key] for key in _ATTRIBUTES if key in node.attributes}
    if graph.forward.opset < 11:
        attributes |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    inputs = (image, *target) if target[-1] else (image, *target[:-1])
    resized = graph.emit("Resize", *inputs, **attributes)
    matrix = graph.emit("Squeeze", resized, graph.integers(0, 1))
    return graph.emit("Cast", matrix, to=graph.forward.type(value).element)


RULES: Mapping[str, Rule] = MappingProxyType({"Resize": _resize, "Upsample": _resize})
