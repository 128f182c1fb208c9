"""Gradient rules for sums, means, norms and extrema along axes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..backward import BackwardGraph, Rule
from ..forward import Node
from .elementwise import divided

_GLOBAL = frozenset({"GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"})


def _reduce_sum(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    return {0: _spread(graph, node, gradient)}


def _reduce_mean(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Divide by the number of averaged elements; also the rule of GlobalAveragePool."""
    before = graph.emit("ReduceProd", graph.shape(node.inputs[0]), keepdims=0)
    after = graph.emit("ReduceProd", graph.emit("Shape", gradient), keepdims=0)
    count = graph.emit("Div", before, after)
    return {0: _spread(graph, node, divided(graph, gradient, count, like=node.inputs[0]))}


def _reduce_l1(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    sign = graph.emit("Sign", graph.saved(node.inputs[0]))
    return {0: graph.emit("Mul", sign, _along(graph, node, gradient))}


def _reduce_l2(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Apply dx = x g / |x|; zero where the norm is zero, as in torch."""
    norm = graph.saved(node.outputs[0])
    zero = graph.scalar(0, like=norm)
    nothing = graph.emit("Equal", norm, zero)
    divisor = graph.emit("Where", nothing, graph.scalar(1, like=norm), norm)
    part = graph.emit("Where", nothing, zero, graph.emit("Div", gradient, divisor))
    return {0: graph.emit("Mul", graph.saved(node.inputs[0]), _along(graph, node, part))}


def _reduce_sum_square(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    doubled = graph.emit("Add", gradient, gradient)
    return {0: graph.emit("Mul", graph.saved(node.inputs[0]), _along(graph, node, doubled))}


def _reduce_log_sum(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    total = graph.emit("Exp", graph.saved(node.outputs[0]))
    return {0: _spread(graph, node, graph.emit("Div", gradient, total))}


def _reduce_log_sum_exp(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Apply dx = e^(x - y) g, whose exponents are at most zero."""
    output = _along(graph, node, graph.saved(node.outputs[0]))
    share = graph.emit("Exp", graph.emit("Sub", graph.saved(node.inputs[0]), output))
    return {0: graph.emit("Mul", share, _along(graph, node, gradient))}


def _extremum(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Pass the gradient to the extremum, in equal parts where several elements are."""
    value, output = graph.saved(node.inputs[0]), graph.saved(node.outputs[0])
    equal = graph.emit("Equal", value, _along(graph, node, output))
    mask = graph.emit("Cast", equal, to=graph.forward.type(value).element)
    count = graph.emit("ReduceSum", mask, _axes(graph, node), keepdims=1)
    part = graph.emit("Div", _along(graph, node, gradient), count)
    return {0: graph.emit("Mul", mask, part)}


def _reduce_prod(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Multiply by the product of the others, which is not zero where one element alone is zero."""
    value, axes = graph.saved(node.inputs[0]), _axes(graph, node)
    zero, one = (graph.scalar(number, like=value) for number in (0, 1))
    is_zero = graph.emit("Equal", value, zero)
    factors = graph.emit("Where", is_zero, one, value)
    product = graph.emit("ReduceProd", factors, axes, keepdims=1)
    zeros = graph.emit("Cast", is_zero, to=graph.forward.type(value).element)
    zeros = graph.emit("ReduceSum", zeros, axes, keepdims=1)
    # Other elements than this one that are zero.
    others = graph.emit("Where", is_zero, graph.emit("Sub", zeros, one), zeros)
    rest = graph.emit("Div", product, factors)
    rest = graph.emit("Where", graph.emit("Equal", others, zero), rest, zero)
    return {0: graph.emit("Mul", rest, _along(graph, node, gradient))}


def _global_lp_pool(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    norms = {1: _reduce_l1, 2: _reduce_l2}
    if node.attributes.get("p", 2) not in norms:
        raise node.unsupported("its p is neither 1 nor 2")
    return norms[node.attributes.get("p", 2)](graph, node, gradient)


def _spread(graph: BackwardGraph, node: Node, gradient: str) -> str:
    """Repeat the gradient along the axes that were reduced."""
    return graph.emit("Expand", _along(graph, node, gradient), graph.shape(node.inputs[0]))


def _along(graph: BackwardGraph, node: Node, value: str) -> str:
    """Return a value of the output's shape with the reduced axes, of one element each."""
    if node.operator in _GLOBAL or node.attributes.get("keepdims", 1):
        return value
    return graph.emit("Unsqueeze", value, _axes(graph, node))


def _axes(graph: BackwardGraph, node: Node) -> str:
    """Return the axes that were reduced, which are an attribute before opset 13 or 18."""
    rank = len(graph.forward.dimensions(node.inputs[0]))
    if node.operator in _GLOBAL:
        return graph.integers(*range(2, rank))
    if "axes" in node.attributes:
        return graph.integers(*node.attributes["axes"])
    if node.input(1) and graph.forward.dimensions(node.inputs[1]) != (0,):
        return graph.saved(node.inputs[1])
    if node.attributes.get("noop_with_empty_axes", 0):
        raise node.unsupported("it reduces no axis")
    return graph.integers(*range(rank))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "GlobalAveragePool": _reduce_mean,
        "GlobalLpPool": _global_lp_pool,
        "GlobalMaxPool": _extremum,
        "ReduceL1": _reduce_l1,
        "ReduceL2": _reduce_l2,
        "ReduceLogSum": _reduce_log_sum,
        "ReduceLogSumExp": _reduce_log_sum_exp,
        "ReduceMax": _extremum,
        "ReduceMean": _reduce_mean,
        "ReduceMin": _extremum,
        "ReduceProd": _reduce_prod,
        "ReduceSum": _reduce_sum,
        "ReduceSumSquare": _reduce_sum_square,
    }
)
