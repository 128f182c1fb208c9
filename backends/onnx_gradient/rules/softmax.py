"""Gradient rules for softmax and its logarithm, from their outputs alone."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..backward import BackwardGraph, Rule
from ..forward import Node

#: First opset in which softmax is over one axis; before, it is over this axis and all later ones.
_ONE_AXIS = 13


def _softmax(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Apply dx = y (g - sum(g y)). The outputs cannot overflow, as their inputs' powers could."""
    output = graph.saved(node.outputs[0])
    product = graph.emit("Mul", gradient, output)
    total = graph.emit("ReduceSum", product, _axes(graph, node), keepdims=1)
    return {0: graph.emit("Mul", output, graph.emit("Sub", gradient, total))}


def _log_softmax(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Apply dx = g - e^y sum(g)."""
    probabilities = graph.emit("Exp", graph.saved(node.outputs[0]))
    total = graph.emit("ReduceSum", gradient, _axes(graph, node), keepdims=1)
    return {0: graph.emit("Sub", gradient, graph.emit("Mul", probabilities, total))}


def _axes(graph: BackwardGraph, node: Node) -> str:
    rank = len(graph.forward.dimensions(node.inputs[0]))
    if graph.forward.opset >= _ONE_AXIS:
        return graph.integers(node.attributes.get("axis", -1) % rank)
    return graph.integers(*range(node.attributes.get("axis", 1) % rank, rank))


RULES: Mapping[str, Rule] = MappingProxyType({"LogSoftmax": _log_softmax, "Softmax": _softmax})
