"""The gradient rule for joining columns to an image."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from ...backward import BackwardGraph, Rule
from ...forward import Node


def _columns_to_image(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Take the blocks of the gradient apart: a convolution with one kernel for each position."""
    block = [int(size) for size in graph.forward.constant(node.inputs[2], node)]
    ones, count = [1] * len(block), int(np.prod(block))
    kernels = np.eye(count, dtype=np.float32).reshape(count, 1, *block)
    sizes = graph.emit("Shape", gradient)
    positions = graph.emit("Slice", sizes, graph.integers(2), graph.integers(2 + len(block)))
    planes = graph.emit("Concat", graph.integers(-1, 1), positions, axis=0)
    columns = graph.emit(
        "Conv",
        graph.emit("Reshape", gradient, planes),
        graph.emit("CastLike", graph.constant(kernels), gradient),
        kernel_shape=block,
        pads=list(node.attributes.get("pads", [0] * 2 * len(block))),
        strides=list(node.attributes.get("strides", ones)),
        dilations=list(node.attributes.get("dilations", ones)),
    )
    return {0: graph.emit("Reshape", columns, graph.shape(node.inputs[0]))}


RULES: Mapping[str, Rule] = MappingProxyType({"Col2Im": _columns_to_image})
