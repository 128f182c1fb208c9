"""The gradient rule for pooling by a norm."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from ...backward import BackwardGraph, Rule
from ...forward import Node
from .convolution import explicit_pads, transposed


def _lp_pool(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Apply dx = sign(x) |x|^(p - 1) E'(g y^(1 - p)), where E' adds up the windows of an element.

    It is zero where the norm of a window is zero.
    """
    value, output = graph.saved(node.inputs[0]), graph.saved(node.outputs[0])
    power = node.attributes.get("p", 2)
    kernel = list(node.attributes["kernel_shape"])
    ones = [1] * len(kernel)
    zero, one, lower = (graph.scalar(number, like=value) for number in (0, 1, power - 1))
    nothing = graph.emit("Equal", output, zero)
    divisor = graph.emit("Pow", graph.emit("Where", nothing, one, output), lower)
    part = graph.emit("Where", nothing, zero, graph.emit("Div", gradient, divisor))
    positions = graph.emit(
        "Slice", graph.emit("Shape", part), graph.integers(2), graph.integers(2 + len(kernel))
    )
    planes = graph.emit("Concat", graph.integers(-1, 1), positions, axis=0)
    weight = graph.constant(np.ones((1, 1, *kernel), np.float32))
    sizes = graph.shape(node.inputs[0])
    spread = transposed(
        graph,
        graph.emit("Reshape", part, planes),
        graph.emit("CastLike", weight, part),
        sizes,
        pads=explicit_pads(node, len(kernel)),
        strides=list(node.attributes.get("strides", ones)),
        dilations=list(node.attributes.get("dilations", ones)),
    )
    slope = graph.emit("Pow", graph.emit("Abs", value), lower)
    slope = graph.emit("Mul", graph.emit("Sign", value), slope)
    return {0: graph.emit("Mul", slope, graph.emit("Reshape", spread, sizes))}


RULES: Mapping[str, Rule] = MappingProxyType({"LpPool": _lp_pool})
