"""Gradient rules for matrix products, and for rotations by stated angles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ..backward import BackwardGraph, Rule
from ..forward import Dimension, Node
from .elementwise import summed_to, unbroadcast

#: Least opset with rotary embeddings.
_ROTATING_OPSET = 23


def _matmul(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Apply d(A B) = dA B + A dB.

    The leading dimensions broadcast. A vector is a row on the left and a column on the right.
    """
    left, right = (graph.forward.dimensions(value) for value in node.inputs)
    sizes = list(graph.forward.dimensions(node.outputs[0]))
    rows, columns = (graph.saved(value) for value in node.inputs)
    if len(left) == 1:
        rows = graph.emit("Unsqueeze", rows, graph.integers(0))
        gradient = graph.emit("Unsqueeze", gradient, graph.integers(-1 if len(right) == 1 else -2))
    if len(right) == 1:
        columns = graph.emit("Unsqueeze", columns, graph.integers(1))
        gradient = graph.emit("Unsqueeze", gradient, graph.integers(-1))
    batch = sizes[: max(len(left), len(right), 2) - 2]
    gradients = {}
    if 0 in node.active:
        product = graph.emit("MatMul", gradient, _transposed(graph, columns, max(len(right), 2)))
        gradients[0] = _factor(graph, product, batch, node.inputs[0])
    if 1 in node.active:
        product = graph.emit("MatMul", _transposed(graph, rows, max(len(left), 2)), gradient)
        gradients[1] = _factor(graph, product, batch, node.inputs[1])
    return gradients


def _factor(graph: BackwardGraph, product: str, batch: Sequence[Dimension], value: str) -> str:
    """Return the gradient at a factor: summed over the leading dimensions that it lacks."""
    sizes = graph.forward.dimensions(value)
    if len(sizes) > 1:
        return summed_to(graph, product, [*batch, *sizes[-2:]], value)
    if batch:
        axes = graph.integers(*range(len(batch)))
        product = graph.emit("ReduceSum", product, axes, keepdims=0)
    return graph.emit("Reshape", product, graph.integers(-1))


def _transposed(graph: BackwardGraph, value: str, rank: int) -> str:
    return graph.emit("Transpose", value, perm=[*range(rank - 2), rank - 1, rank - 2])


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


def _rotation(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Turn the gradient back: the transpose of a rotation is that by the opposite angle."""
    if node.active != {0}:
        raise node.unsupported("its angles depend on the image")
    cosines, sines, *positions = (graph.saved(value) for value in node.inputs[1:] if value)
    graph.opset = max(graph.opset, _ROTATING_OPSET)
    inputs = gradient, cosines, graph.emit("Neg", sines), *positions
    return {0: graph.emit("RotaryEmbedding", *inputs, **node.attributes)}


RULES: Mapping[str, Rule] = MappingProxyType(
    {"Gemm": _gemm, "MatMul": _matmul, "RotaryEmbedding": _rotation}
)
