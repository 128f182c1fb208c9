"""The gradient rule for resizing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import onnx

from ...backward import BackwardGraph, Rule
from ...forward import Node

_ATTRIBUTES = ("mode", "coordinate_transformation_mode", "nearest_mode", "cubic_coeff_a")


def _resize(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Multiply the gradient by the transposed matrices of rows and columns.

    Resizing multiplies rows and columns by one matrix each. These are resized identity matrices,
    whatever the mode is.
    """
    value = node.inputs[0]
    if len(graph.forward.dimensions(value)) != 4:
        raise node.unsupported("it is not of images")
    for attribute, default in (("antialias", 0), ("exclude_outside", 0), ("axes", None)):
        if node.attributes.get(attribute, default) != default:
            raise node.unsupported(f"it has {attribute}")
    if node.attributes.get("coordinate_transformation_mode") == b"tf_crop_and_resize":
        raise node.unsupported("it crops")
    rows, columns = (_matrix(graph, node, axis) for axis in (2, 3))
    transposed = graph.emit("Transpose", rows, perm=[0, 1, 3, 2])
    return {0: graph.emit("MatMul", transposed, graph.emit("MatMul", gradient, columns))}


def _matrix(graph: BackwardGraph, node: Node, axis: int) -> str:
    """Return the matrix (1, 1, size after, size before) that resizes one axis."""
    value = node.inputs[0]
    size = graph.emit("Gather", graph.shape(value), graph.integers(axis))
    square = graph.emit("Concat", size, size, axis=0)
    one = onnx.numpy_helper.from_array(np.ones(1, np.float32))
    # Only the rows of the identity are resized: the factor of its columns is one.
    identity = graph.emit("EyeLike", graph.emit("ConstantOfShape", square, value=one))
    image = graph.emit("Unsqueeze", identity, graph.integers(0, 1))
    ones = graph.integers(1, 1)
    if node.input(3):
        after = graph.emit("Gather", graph.saved(node.inputs[3]), graph.integers(axis))
        target = ("", "", graph.emit("Concat", ones, after, size, axis=0))
    else:
        factor = graph.emit("Gather", graph.saved(node.inputs[2]), graph.integers(axis))
        one_float = graph.constant(np.ones(1, np.float32))
        target = ("", graph.emit("Concat", one_float, one_float, factor, one_float, axis=0), "")
    attributes = {key: node.attributes[key] for key in _ATTRIBUTES if key in node.attributes}
    inputs = (image, *target) if target[-1] else (image, *target[:-1])
    return graph.emit(
        "Cast", graph.emit("Resize", *inputs, **attributes), to=_element(graph, value)
    )


def _element(graph: BackwardGraph, value: str) -> int:
    return graph.forward.type(value).element


RULES: Mapping[str, Rule] = MappingProxyType({"Resize": _resize})
