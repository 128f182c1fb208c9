"""Gradient rules for matrix products, sums, means, and layer normalization."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .backward import BackwardGraph, Rule
from .elementwise import divided, unbroadcast
from .forward import Node


def _matmul(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Apply d(A B) = dA B + A dB. A factor may lack leading dimensions."""
    ranks = [len(graph.forward.dimensions(value)) for value in node.inputs]
    if min(ranks) < 2:
        raise node.unsupported("one of its factors is a vector")
    gradients = {}
    if 0 in node.active:
        right = _transposed(graph, graph.saved(node.inputs[1]), ranks[1])
        gradients[0] = _unbroadcast(graph, graph.emit("MatMul", gradient, right), node, 0)
    if 1 in node.active:
        left = _transposed(graph, graph.saved(node.inputs[0]), ranks[0])
        gradients[1] = _unbroadcast(graph, graph.emit("MatMul", left, gradient), node, 1)
    return gradients


def _transposed(graph: BackwardGraph, value: str, rank: int) -> str:
    return graph.emit("Transpose", value, perm=[*range(rank - 2), rank - 1, rank - 2])


def _unbroadcast(graph: BackwardGraph, gradient: str, node: Node, position: int) -> str:
    """Sum over the leading dimensions that a factor lacks."""
    factor_sizes, product_sizes = (
        graph.forward.dimensions(value)[:-2] for value in (node.inputs[position], node.outputs[0])
    )
    missing = len(product_sizes) - len(factor_sizes)
    if factor_sizes != product_sizes[missing:]:
        raise node.unsupported("its factors' leading dimensions broadcast")
    if not missing:
        return gradient
    return graph.emit("ReduceSum", gradient, graph.integers(*range(missing)), keepdims=0)


def _gemm(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate Y = alpha A' B' + beta C, where A' is A or its transpose, and B' alike."""
    transposed = [node.attributes.get(key, 0) for key in ("transA", "transB")]
    alpha, beta = (node.attributes.get(key, 1.0) for key in ("alpha", "beta"))
    gradients = {}
    if 0 in node.active:
        other = graph.saved(node.inputs[1])
        factors, flags = ((gradient, other), (0, 1 - transposed[1]))
        if transposed[0]:
            factors, flags = ((other, gradient), (transposed[1], 1))
        gradients[0] = graph.emit("Gemm", *factors, alpha=alpha, transA=flags[0], transB=flags[1])
    if 1 in node.active:
        other = graph.saved(node.inputs[0])
        factors, flags = ((other, gradient), (1 - transposed[0], 0))
        if transposed[1]:
            factors, flags = ((gradient, other), (1, transposed[0]))
        gradients[1] = graph.emit("Gemm", *factors, alpha=alpha, transA=flags[0], transB=flags[1])
    if 2 in node.active:
        scaled = graph.emit("Mul", gradient, graph.scalar(beta, like=node.inputs[2]))
        gradients[2] = unbroadcast(graph, scaled, node, 2)
    return gradients


def _reduce_sum(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    return {0: _spread(graph, node, gradient)}


def _reduce_mean(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Divide by the number of averaged elements; also the rule of GlobalAveragePool."""
    before = graph.emit("ReduceProd", graph.shape(node.inputs[0]), keepdims=0)
    after = graph.emit("ReduceProd", graph.emit("Shape", gradient), keepdims=0)
    count = graph.emit("Div", before, after)
    return {0: _spread(graph, node, divided(graph, gradient, count, like=node.inputs[0]))}


def _spread(graph: BackwardGraph, node: Node, gradient: str) -> str:
    """Repeat the gradient along the axes that were summed."""
    if node.operator != "GlobalAveragePool" and not node.attributes.get("keepdims", 1):
        if "axes" in node.attributes:  # before opset 13 (ReduceSum) and 18
            axes = graph.integers(*node.attributes["axes"])
        elif node.input(1):
            axes = graph.saved(node.inputs[1])
        else:
            axes = graph.integers(*range(len(graph.forward.dimensions(node.inputs[0]))))
        gradient = graph.emit("Unsqueeze", gradient, axes)
    return graph.emit("Expand", gradient, graph.shape(node.inputs[0]))


def _layer_normalization(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Apply dx = (g - E g - z E (g z)) / s with g = w dy.

    The operator is y = w z + b, with z = (x - E x) / s over the last axes and
    s^2 = E (x - E x)^2 + epsilon.
    """
    if node.active != {0}:
        raise node.unsupported("its scale depends on the image")
    rank = len(graph.forward.dimensions(node.inputs[0]))
    axes = graph.integers(*range(node.attributes.get("axis", -1) % rank, rank))

    def mean(value: str) -> str:
        return graph.emit("ReduceMean", value, axes, keepdims=1)

    value = graph.saved(node.inputs[0])
    centred = graph.emit("Sub", value, mean(value))
    variance = mean(graph.emit("Mul", centred, centred))
    epsilon = graph.scalar(node.attributes.get("epsilon", 1e-5), like=value)
    deviation = graph.emit("Sqrt", graph.emit("Add", variance, epsilon))
    z = graph.emit("Div", centred, deviation)
    g = graph.emit("Mul", gradient, graph.saved(node.inputs[1]))
    projection = graph.emit("Mul", z, mean(graph.emit("Mul", g, z)))
    residual = graph.emit("Sub", graph.emit("Sub", g, mean(g)), projection)
    return {0: graph.emit("Div", residual, deviation)}


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "Gemm": _gemm,
        "GlobalAveragePool": _reduce_mean,
        "LayerNormalization": _layer_normalization,
        "MatMul": _matmul,
        "ReduceMean": _reduce_mean,
        "ReduceSum": _reduce_sum,
    }
)
