"""Gradient rules for pooling."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import onnx

from .backward import BackwardGraph, Rule
from .convolution import (
    explicit_pads,
    pads_before,
    pads_by_size,
    transposed,
    transposed_within,
)
from .elementwise import divided, where_positive
from .forward import Node


def _max_pool(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Route the gradient of a window to its first maximum, row by row, as in torch.

    Pooling is repeated for the positions of the maxima: the forward graph does not need them, and
    may pool in the fastest way. If a rectifier comes before, its mask is applied here: a maximum is
    zero where the rectifier passed nothing in its window, and there are fewer maxima than inputs.
    """
    if node.attributes.get("storage_order", 0):
        raise node.unsupported("its indices are column by column")
    value = node.inputs[0]
    attributes = {
        key: setting for key, setting in node.attributes.items() if key != "storage_order"
    }
    maxima, indices = graph.emit_many("MaxPool", [graph.saved(value)], 2, **attributes)
    if graph.forward.is_pooled_rectifier(value):
        gradient = where_positive(graph, gradient, maxima, like=value)
    element, overlap = graph.forward.type(value).element, _windows_overlap(node)
    # MaxUnpool has no auto_pad.
    explicit = node.attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    simple = explicit and not overlap and not node.attributes.get("ceil_mode", 0)
    if simple and graph.on_cpu and element == onnx.TensorProto.FLOAT:
        window = {
            key: attributes[key] for key in ("kernel_shape", "pads", "strides") if key in attributes
        }
        return {0: graph.emit("MaxUnpool", gradient, indices, graph.shape(value), **window)}
    flat = graph.integers(-1)
    size = graph.emit("ReduceProd", graph.shape(value), keepdims=1)
    zero = onnx.helper.make_tensor("zero", element, [1], [0])
    scattered = graph.emit(
        "ScatterElements",
        graph.emit("ConstantOfShape", size, value=zero),
        graph.emit("Reshape", indices, flat),
        graph.emit("Reshape", gradient, flat),
        axis=0,
        reduction="add" if overlap else None,
    )
    return {0: graph.emit("Reshape", scattered, graph.shape(value))}


def _windows_overlap(node: Node) -> bool:
    kernel = node.attributes["kernel_shape"]
    ones = [1] * len(kernel)
    strides = node.attributes.get("strides", ones)
    dilations = node.attributes.get("dilations", ones)
    windows = zip(kernel, strides, dilations, strict=True)
    return any(stride < (size - 1) * dilation + 1 for size, stride, dilation in windows)


def _average_pool(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Divide the gradient by the number of elements of each window, and spread it over them."""
    kernel = list(node.attributes["kernel_shape"])
    ones, value = [1] * len(kernel), node.inputs[0]
    strides = list(node.attributes.get("strides", ones))
    if list(node.attributes.get("dilations", ones)) != ones:
        raise node.unsupported("it is dilated")
    by_size = pads_by_size(node, strides)
    pads = [] if by_size else explicit_pads(node, len(kernel), kernel, ones)
    partial = not by_size and node.attributes.get("ceil_mode", 0)
    padded = node.attributes.get("count_include_pad", 0)
    begins = (
        pads_before(graph, node, kernel, strides, ones)
        if by_size
        else graph.integers(*pads[: len(kernel)])
    )
    if not partial and (padded or not (by_size or any(pads))):
        counts = graph.integers(int(np.prod(kernel)))
    else:
        counted = pads if padded else [0] * 2 * len(kernel)
        counts = _counts(graph, gradient, value, kernel, strides, begins, counted)
    quotient = divided(graph, gradient, counts, like=value)
    shape = graph.shape(value)
    if kernel == strides and not (by_size or partial or any(pads)):
        return {0: _repeated(graph, quotient, kernel, shape)}
    return {0: _spread(graph, quotient, kernel, strides, begins if by_size else pads, shape)}


def _counts(
    graph: BackwardGraph,
    gradient: str,
    value: str,
    kernel: list[int],
    strides: list[int],
    begins: str,
    counted: list[int],
) -> str:
    """Return the number of elements of each window, (positions of each dimension), int64.

    `begins` are the pads at the axes' beginnings, a vector in the graph; `counted` is the padding
    that counts, at the axes' beginnings and then at their ends.
    """
    spatial = len(kernel)
    sizes, positions = graph.shape(value), graph.emit("Shape", gradient)
    product = None
    for axis in range(spatial):
        dimension = graph.integers(2 + axis)
        size = graph.emit("Gather", sizes, dimension)
        count = graph.emit("Squeeze", graph.emit("Gather", positions, dimension))
        zero, one = graph.constant(np.array(0)), graph.constant(np.array(1))
        steps = graph.emit("Range", zero, count, one)
        starts = graph.emit("Mul", steps, graph.integers(strides[axis]))
        starts = graph.emit("Sub", starts, graph.emit("Gather", begins, graph.integers(axis)))
        stops = graph.emit("Add", starts, graph.integers(kernel[axis]))
        starts = graph.emit("Max", starts, graph.integers(-counted[axis]))
        end = graph.emit("Add", size, graph.integers(counted[axis + spatial]))
        lengths = graph.emit("Sub", graph.emit("Min", stops, end), starts)
        later_axes = graph.integers(*range(1, spatial - axis))
        lengths = graph.emit("Unsqueeze", lengths, later_axes) if axis < spatial - 1 else lengths
        product = lengths if product is None else graph.emit("Mul", product, lengths)
    assert product is not None
    return product


def _repeated(graph: BackwardGraph, quotient: str, kernel: list[int], shape: str) -> str:
    """Repeat each quotient over its window: adjacent windows, zeros for rows without a window."""
    factors = graph.constant(np.array([1, 1, *kernel], np.float32))
    repeated = graph.emit(
        "Resize",
        quotient,
        "",
        factors,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    missing = graph.emit("Sub", shape, graph.emit("Shape", repeated))
    pads = graph.emit("Concat", graph.integers(*[0] * (2 + len(kernel))), missing, axis=0)
    return graph.emit("Pad", repeated, pads)


def _spread(
    graph: BackwardGraph,
    quotient: str,
    kernel: list[int],
    strides: list[int],
    pads: list[int] | str,
    shape: str,
) -> str:
    """Spread the quotients over windows of any kind: a transposed convolution with ones.

    Each channel is convolved by itself. `pads` are numbers, or those at the axes' beginnings as a
    vector in the graph.
    """
    spatial = len(kernel)
    positions = graph.emit(
        "Slice", graph.emit("Shape", quotient), graph.integers(2), graph.integers(9)
    )
    planes = graph.emit("Concat", graph.integers(-1, 1), positions, axis=0)
    quotients = graph.emit("Reshape", quotient, planes)
    ones = graph.constant(np.ones((1, 1, *kernel), np.float32))
    ones = graph.emit("CastLike", ones, quotient)
    steps, once = strides, [1] * spatial
    if isinstance(pads, str):
        spread = transposed_within(
            graph, quotients, ones, pads, shape, strides=steps, dilations=once
        )
    else:
        spread = transposed(graph, quotients, ones, shape, pads=pads, strides=steps, dilations=once)
    return graph.emit("Reshape", spread, shape)


RULES: Mapping[str, Rule] = MappingProxyType({"AveragePool": _average_pool, "MaxPool": _max_pool})
