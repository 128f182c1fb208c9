"""Gradient rules for activations whose slope is a formula of their input or output."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from ..backward import BackwardGraph, Rule
from ..forward import Node
from .elementwise import unbroadcast


def _elu(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate alpha (e^x - 1) below zero: the slope is y + alpha."""
    alpha = node.attributes.get("alpha", 1.0)
    return _below_zero(graph, node, gradient, alpha, scale=1.0)


def _selu(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    alpha = node.attributes.get("alpha", 1.67326319217681884765625)
    gamma = node.attributes.get("gamma", 1.05070102214813232421875)
    return _below_zero(graph, node, gradient, alpha * gamma, scale=gamma)


def _below_zero(
    graph: BackwardGraph, node: Node, gradient: str, limit: float, scale: float
) -> Mapping[int, str]:
    """Multiply by `scale` above zero, and below by output + limit, where -limit is the limit."""
    value, output = graph.saved(node.inputs[0]), graph.saved(node.outputs[0])
    slope = graph.emit("Add", output, graph.scalar(limit, like=output))
    above = graph.emit("Greater", value, graph.scalar(0, like=value))
    slope = graph.emit("Where", above, graph.scalar(scale, like=output), slope)
    return {0: graph.emit("Mul", gradient, slope)}


def _celu(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate alpha (e^(x / alpha) - 1) below zero: the slope is e^(x / alpha)."""
    value, alpha = graph.saved(node.inputs[0]), node.attributes.get("alpha", 1.0)
    below = graph.emit("Min", value, graph.scalar(0, like=value))
    slope = graph.emit("Exp", graph.emit("Div", below, graph.scalar(alpha, like=value)))
    return {0: graph.emit("Mul", gradient, slope)}


def _gelu(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate x P(x), where P is the normal distribution or its approximation by tanh."""
    value = graph.saved(node.inputs[0])
    half, one = (graph.scalar(number, like=value) for number in (0.5, 1))
    if node.attributes.get("approximate", b"none") == b"tanh":
        # P = (1 + tanh u) / 2 with u = a (x + b x^3)
        a, b = math.sqrt(2 / math.pi), 0.044715
        square = graph.emit("Mul", value, value)
        cubic = graph.emit("Mul", square, graph.scalar(a * b, like=value))
        inner = graph.emit("Mul", value, graph.emit("Add", cubic, graph.scalar(a, like=value)))
        tanh = graph.emit("Tanh", inner)
        steepness = graph.emit("Mul", square, graph.scalar(3 * a * b, like=value))
        steepness = graph.emit("Add", steepness, graph.scalar(a, like=value))
        bell = graph.emit("Sub", one, graph.emit("Mul", tanh, tanh))
        density = graph.emit("Mul", half, graph.emit("Mul", bell, steepness))
        distribution = graph.emit("Mul", half, graph.emit("Add", one, tanh))
    else:
        scaled = graph.emit("Mul", value, graph.scalar(math.sqrt(0.5), like=value))
        distribution = graph.emit("Mul", half, graph.emit("Add", one, graph.emit("Erf", scaled)))
        bell = graph.emit("Exp", graph.emit("Neg", graph.emit("Mul", scaled, scaled)))
        density = graph.emit("Mul", bell, graph.scalar(1 / math.sqrt(2 * math.pi), like=value))
    slope = graph.emit("Add", distribution, graph.emit("Mul", value, density))
    return {0: graph.emit("Mul", gradient, slope)}


def _mish(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate x t with t = tanh(log(1 + e^x)), whose slope is (1 - t^2) sigmoid(x)."""
    value = graph.saved(node.inputs[0])
    tanh = graph.emit("Tanh", graph.emit("Softplus", value))
    bell = graph.emit("Sub", graph.scalar(1, like=value), graph.emit("Mul", tanh, tanh))
    bell = graph.emit("Mul", bell, graph.emit("Sigmoid", value))
    slope = graph.emit("Add", tanh, graph.emit("Mul", value, bell))
    return {0: graph.emit("Mul", gradient, slope)}


def _swish(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate x s with s = sigmoid(alpha x), whose slope is alpha s (1 - s)."""
    value, alpha = graph.saved(node.inputs[0]), node.attributes.get("alpha", 1.0)
    scaled = graph.emit("Mul", value, graph.scalar(alpha, like=value))
    sigmoid = graph.emit("Sigmoid", scaled)
    complement = graph.emit("Sub", graph.scalar(1, like=value), sigmoid)
    bell = graph.emit("Mul", sigmoid, complement)
    slope = graph.emit("Add", sigmoid, graph.emit("Mul", scaled, bell))
    return {0: graph.emit("Mul", gradient, slope)}


def _softsign(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    value = graph.saved(node.inputs[0])
    root = graph.emit("Add", graph.scalar(1, like=value), graph.emit("Abs", value))
    return {0: graph.emit("Div", gradient, graph.emit("Mul", root, root))}


def _thresholded_relu(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    value, alpha = graph.saved(node.inputs[0]), node.attributes.get("alpha", 1.0)
    above = graph.emit("Greater", value, graph.scalar(alpha, like=value))
    return {0: graph.emit("Where", above, gradient, graph.scalar(0, like=value))}


def _shrink(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    value, bound = graph.saved(node.inputs[0]), node.attributes.get("lambd", 0.5)
    low = graph.emit("Less", value, graph.scalar(-bound, like=value))
    high = graph.emit("Greater", value, graph.scalar(bound, like=value))
    kept = graph.emit("Or", low, high)
    return {0: graph.emit("Where", kept, gradient, graph.scalar(0, like=value))}


def _prelu(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    value, slope = (graph.saved(name) for name in node.inputs)
    zero = graph.scalar(0, like=value)
    above = graph.emit("Greater", value, zero)
    gradients = {}
    if 0 in node.active:
        gradients[0] = graph.emit("Where", above, gradient, graph.emit("Mul", gradient, slope))
    if 1 in node.active:
        part = graph.emit("Where", above, zero, graph.emit("Mul", gradient, value))
        gradients[1] = unbroadcast(graph, part, node, 1)
    return gradients


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "Celu": _celu,
        "Elu": _elu,
        "Gelu": _gelu,
        "Mish": _mish,
        "PRelu": _prelu,
        "Selu": _selu,
        "Shrink": _shrink,
        "Softsign": _softsign,
        "Swish": _swish,
        "ThresholdedRelu": _thresholded_relu,
    }
)
