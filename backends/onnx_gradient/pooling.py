"""Rules for pooling."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import onnx

from .backward import BackwardGraph, Rule
from .convolution import explicit_pads, transposed
from .elementwise import where_positive
from .forward import Node


def _max_pool(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """The first maximum of a window, row by row, gets all, as in torch.

    Pooling is repeated for the positions of the maxima: the forward graph, which does not need
    them, stays free to pool in the way that is fastest. Where a rectifier comes before, its mask
    is applied here: a maximum is zero where nothing in its window passed, and there are fewer.
    """
    if node.attributes.get("storage_order", 0):
        raise node.refuse("its indices are column by column")
    value = node.inputs[0]
    known = {key: each for key, each in node.attributes.items() if key != "storage_order"}
    maxima, indices = graph.emit_many("MaxPool", [graph.saved(value)], 2, **known)
    if graph.forward.is_pooled_rectifier(value):
        gradient = where_positive(graph, gradient, maxima, like=value)
    element, overlap = graph.forward.type(value).element, _overlap(node)
    simple = not overlap and not node.attributes.get("ceil_mode", 0)
    if simple and graph.on_cpu and element == onnx.TensorProto.FLOAT:
        shape = {key: known[key] for key in ("kernel_shape", "pads", "strides") if key in known}
        return {0: graph.emit("MaxUnpool", gradient, indices, graph.shape(value), **shape)}
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


def _overlap(node: Node) -> bool:
    kernel = node.attributes["kernel_shape"]
    ones = [1] * len(kernel)
    strides = node.attributes.get("strides", ones)
    dilations = node.attributes.get("dilations", ones)
    windows = zip(kernel, strides, dilations, strict=True)
    return any(stride < (size - 1) * dilation + 1 for size, stride, dilation in windows)


def _average_pool(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Each position's share of the gradient, spread over its window."""
    kernel = list(node.attributes["kernel_shape"])
    ones = [1] * len(kernel)
    strides = list(node.attributes.get("strides", ones))
    if list(node.attributes.get("dilations", ones)) != ones:
        raise node.refuse("it is dilated")
    pads = explicit_pads(node, len(kernel))
    shape = graph.shape(node.inputs[0])
    share = graph.emit("Div", gradient, _counts(graph, node, gradient, kernel, strides, pads))
    if kernel == strides and not any(pads) and not node.attributes.get("ceil_mode", 0):
        return {0: _repeated(graph, share, kernel, shape)}
    return {0: _spread(graph, share, kernel, strides, pads, shape)}


def _counts(
    graph: BackwardGraph,
    node: Node,
    gradient: str,
    kernel: list[int],
    strides: list[int],
    pads: list[int],
) -> str:
    """How many elements each window averages: a number, or (positions of each dimension)."""
    value, spatial = node.inputs[0], len(kernel)
    partial = node.attributes.get("ceil_mode", 0)
    padded = node.attributes.get("count_include_pad", 0)
    if not partial and (padded or not any(pads)):
        return graph.scalar(float(np.prod(kernel)), like=value)
    sizes, positions = graph.shape(value), graph.emit("Shape", gradient)
    product = None
    for axis in range(spatial):
        begin, end = (pads[axis], pads[axis + spatial]) if padded else (0, 0)
        at = graph.integers(2 + axis)
        size = graph.emit("Gather", sizes, at)
        count = graph.emit("Squeeze", graph.emit("Gather", positions, at))
        zero, one = graph.constant(np.array(0)), graph.constant(np.array(1))
        steps = graph.emit("Range", zero, count, one)
        starts = graph.emit("Mul", steps, graph.integers(strides[axis]))
        starts = graph.emit("Sub", starts, graph.integers(pads[axis]))
        stops = graph.emit("Add", starts, graph.integers(kernel[axis]))
        starts = graph.emit("Max", starts, graph.integers(-begin))
        stops = graph.emit("Min", stops, graph.emit("Add", size, graph.integers(end)))
        along = graph.emit("Sub", stops, starts)
        later = graph.integers(*range(1, spatial - axis))
        along = graph.emit("Unsqueeze", along, later) if axis < spatial - 1 else along
        product = along if product is None else graph.emit("Mul", product, along)
    assert product is not None
    return graph.emit("Cast", product, to=graph.forward.type(value).element)


def _repeated(graph: BackwardGraph, share: str, kernel: list[int], shape: str) -> str:
    """Windows side by side: each share repeated, with zeros for the rows that had no window."""
    factors = graph.constant(np.array([1, 1, *kernel], np.float32))
    grown = graph.emit(
        "Resize",
        share,
        "",
        factors,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    missing = graph.emit("Sub", shape, graph.emit("Shape", grown))
    pads = graph.emit("Concat", graph.integers(*[0] * (2 + len(kernel))), missing, axis=0)
    return graph.emit("Pad", grown, pads)


def _spread(
    graph: BackwardGraph,
    share: str,
    kernel: list[int],
    strides: list[int],
    pads: list[int],
    shape: str,
) -> str:
    """Windows of any kind: the transposed convolution with ones, each channel by itself."""
    spatial = len(kernel)
    positions = graph.emit(
        "Slice", graph.emit("Shape", share), graph.integers(2), graph.integers(9)
    )
    planes = graph.emit("Concat", graph.integers(-1, 1), positions, axis=0)
    ones = np.ones((1, 1, *kernel), np.float32)
    spread = transposed(
        graph,
        graph.emit("Reshape", share, planes),
        graph.emit("CastLike", graph.constant(ones), share),
        shape,
        pads=pads,
        strides=strides,
        dilations=[1] * spatial,
    )
    return graph.emit("Reshape", spread, shape)


RULES: Mapping[str, Rule] = MappingProxyType({"AveragePool": _average_pool, "MaxPool": _max_pool})
