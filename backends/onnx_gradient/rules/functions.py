"""Gradient rules for roots, powers, trigonometric functions, and for sums and extrema of many."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..backward import BackwardGraph, Rule
from ..forward import Node
from .elementwise import unbroadcast


def _abs(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Multiply by the sign: zero at zero, as in torch."""
    return {0: graph.emit("Mul", gradient, graph.emit("Sign", graph.saved(node.inputs[0])))}


def _sqrt(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    output = graph.saved(node.outputs[0])
    return {0: graph.emit("Div", gradient, graph.emit("Add", output, output))}


def _reciprocal(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    output = graph.saved(node.outputs[0])
    square = graph.emit("Mul", output, output)
    return {0: graph.emit("Neg", graph.emit("Mul", gradient, square))}


def _pow(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Apply d(x^p) = p x^(p - 1) dx + x^p log(x) dp; a power of zero has the slope zero."""
    value, exponent = (graph.saved(name) for name in node.inputs)
    zero = graph.scalar(0, like=value)
    exponent = graph.emit("Cast", exponent, to=graph.forward.type(value).element)
    gradients = {}
    if 0 in node.active:
        less = graph.emit("Sub", exponent, graph.scalar(1, like=value))
        constant = graph.emit("Equal", exponent, zero)
        # 0^(-1) would be infinite where p is zero.
        lower = graph.emit("Where", constant, zero, less)
        slope = graph.emit("Mul", exponent, graph.emit("Pow", value, lower))
        gradients[0] = unbroadcast(graph, graph.emit("Mul", gradient, slope), node, 0)
    if 1 in node.active:
        output = graph.saved(node.outputs[0])
        nothing = graph.emit("Equal", output, zero)
        base = graph.emit("Where", nothing, graph.scalar(1, like=value), value)
        slope = graph.emit("Mul", output, graph.emit("Log", base))
        gradients[1] = unbroadcast(graph, graph.emit("Mul", gradient, slope), node, 1)
    return gradients


def _sin(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    return {0: graph.emit("Mul", gradient, graph.emit("Cos", graph.saved(node.inputs[0])))}


def _cos(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    slope = graph.emit("Neg", graph.emit("Sin", graph.saved(node.inputs[0])))
    return {0: graph.emit("Mul", gradient, slope)}


def _tan(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    output = graph.saved(node.outputs[0])
    slope = graph.emit("Add", graph.scalar(1, like=output), graph.emit("Mul", output, output))
    return {0: graph.emit("Mul", gradient, slope)}


def _atan(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    value = graph.saved(node.inputs[0])
    square = graph.emit("Mul", value, value)
    return {0: graph.emit("Div", gradient, graph.emit("Add", graph.scalar(1, like=value), square))}


def _asin(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Divide by sqrt(1 - x^2); also, with the other sign, the rule of Acos."""
    value = graph.saved(node.inputs[0])
    square = graph.emit("Sub", graph.scalar(1, like=value), graph.emit("Mul", value, value))
    part = graph.emit("Div", gradient, graph.emit("Sqrt", square))
    return {0: graph.emit("Neg", part) if node.operator == "Acos" else part}


def _sinh(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Multiply by the other of sinh and cosh, the half of e^x + e^-x or e^x - e^-x."""
    value = graph.saved(node.inputs[0])
    half = graph.scalar(0.5, like=value)
    growing, falling = graph.emit("Exp", value), graph.emit("Exp", graph.emit("Neg", value))
    joined = graph.emit("Add" if node.operator == "Sinh" else "Sub", growing, falling)
    return {0: graph.emit("Mul", gradient, graph.emit("Mul", half, joined))}


def _asinh(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Divide by sqrt(x^2 + 1); also, with the other sign, the rule of Acosh."""
    value = graph.saved(node.inputs[0])
    square, one = graph.emit("Mul", value, value), graph.scalar(1, like=value)
    shifted = graph.emit("Add" if node.operator == "Asinh" else "Sub", square, one)
    return {0: graph.emit("Div", gradient, graph.emit("Sqrt", shifted))}


def _atanh(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    value = graph.saved(node.inputs[0])
    square = graph.emit("Mul", value, value)
    return {0: graph.emit("Div", gradient, graph.emit("Sub", graph.scalar(1, like=value), square))}


def _remainder(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Pass the gradient to the dividend: the remainder grows with it, between its steps."""
    if node.active != {0}:
        raise node.unsupported("its divisor depends on the image")
    return {0: unbroadcast(graph, gradient, node, 0)}


def _sum(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    return {position: unbroadcast(graph, gradient, node, position) for position in node.active}


def _mean(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    count = graph.scalar(len(node.inputs), like=node.outputs[0])
    return _sum(graph, node, graph.emit("Div", gradient, count))


def _extremum(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Pass the gradient to the input that is the extremum, in equal parts where several are."""
    if len(node.inputs) == 1:
        return {0: gradient}
    output = graph.saved(node.outputs[0])
    element = graph.forward.type(output).element
    masks = [
        graph.emit("Cast", graph.emit("Equal", graph.saved(value), output), to=element)
        for value in node.inputs
    ]
    count = masks[0]
    for mask in masks[1:]:
        count = graph.emit("Add", count, mask)
    part = graph.emit("Div", gradient, count)
    return {
        position: unbroadcast(graph, graph.emit("Mul", part, masks[position]), node, position)
        for position in node.active
    }


def _step(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Return no gradient: the function is constant between its steps."""
    return {}


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "Abs": _abs,
        "Acos": _asin,
        "Acosh": _asinh,
        "Asin": _asin,
        "Asinh": _asinh,
        "Atan": _atan,
        "Atanh": _atanh,
        "Ceil": _step,
        "Cos": _cos,
        "Cosh": _sinh,
        "Floor": _step,
        "Hardmax": _step,
        "Max": _extremum,
        "Mean": _mean,
        "Min": _extremum,
        "Mod": _remainder,
        "Pow": _pow,
        "Reciprocal": _reciprocal,
        "Round": _step,
        "Sign": _step,
        "Sin": _sin,
        "Sinh": _sinh,
        "Sqrt": _sqrt,
        "Sum": _sum,
        "Tan": _tan,
    }
)
