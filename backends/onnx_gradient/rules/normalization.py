"""Gradient rules for normalization by the mean and deviation of the values themselves."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from onnx import TensorProto

from ..backward import BackwardGraph, Rule
from ..forward import Node
from .elementwise import unbroadcast

_HALF = frozenset((TensorProto.FLOAT16, TensorProto.BFLOAT16))


def _layer_normalization(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate y = w z + b, where z is normalized over the last axes."""
    rank = len(graph.forward.dimensions(node.inputs[0]))
    axes = range(node.attributes.get("axis", -1) % rank, rank)
    statistics = _Statistics(graph, graph.saved(node.inputs[0]), node, axes)
    gradients = {}
    if 0 in node.active:
        scaled = graph.emit("Mul", gradient, graph.saved(node.inputs[1]))
        gradients[0] = statistics.gradient(scaled)
    if 1 in node.active:
        product = graph.emit("Mul", gradient, statistics.normalized())
        gradients[1] = unbroadcast(graph, product, node, 1)
    if 2 in node.active:
        gradients[2] = unbroadcast(graph, gradient, node, 2)
    return gradients


def _instance_normalization(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate y = w z + b, where z is normalized over the positions of each channel."""
    _require_constant_scale(node)
    rank = len(graph.forward.dimensions(node.inputs[0]))
    statistics = _Statistics(graph, graph.saved(node.inputs[0]), node, range(2, rank))
    scale = _of_channels(graph, node.inputs[1], rank)
    return {0: statistics.gradient(graph.emit("Mul", gradient, scale))}


def _group_normalization(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate y = w z + b, where z is normalized over groups of channels.

    ONNX withdrew the operator's form of opset 18, whose scale was one for each group.
    """
    _require_constant_scale(node)
    value, scale = node.inputs[:2]
    rank = len(graph.forward.dimensions(value))
    groups = graph.integers(0, node.attributes["num_groups"], -1)
    by_group = graph.emit("Reshape", graph.saved(value), groups)
    scaled = graph.emit("Mul", gradient, _of_channels(graph, scale, rank))
    scaled = graph.emit("Reshape", scaled, groups)
    statistics = _Statistics(graph, by_group, node, range(2, 3))
    return {0: graph.emit("Reshape", statistics.gradient(scaled), graph.shape(value))}


def _rms_normalization(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate y = w z, where z is divided by its root mean square over the last axes."""
    rank = len(graph.forward.dimensions(node.inputs[0]))
    axes = range(node.attributes.get("axis", -1) % rank, rank)
    statistics = _Statistics(graph, graph.saved(node.inputs[0]), node, axes, centred=False)
    gradients = {}
    if 0 in node.active:
        scaled = graph.emit("Mul", gradient, graph.saved(node.inputs[1]))
        gradients[0] = statistics.gradient(scaled)
    if 1 in node.active:
        product = graph.emit("Mul", gradient, statistics.normalized())
        gradients[1] = unbroadcast(graph, product, node, 1)
    return gradients


def _mean_variance_normalization(
    graph: BackwardGraph, node: Node, gradient: str
) -> Mapping[int, str]:
    axes = node.attributes.get("axes", [0, 2, 3])
    # The operator adds 1e-9 to the deviation.
    statistics = _Statistics(graph, graph.saved(node.inputs[0]), node, axes, epsilon=1e-18)
    return {0: statistics.gradient(gradient)}


class _Statistics:
    """Normalization z = (x - E x) / s with s^2 = E (x - E x)^2 + epsilon over some axes.

    Without `centred`, z = x / s with s^2 = E x^2 + epsilon. In float32 at least: sums of squares
    leave the range of float16.
    """

    def __init__(
        self,
        graph: BackwardGraph,
        value: str,
        node: Node,
        axes: range | list[int],
        *,
        centred: bool = True,
        epsilon: float | None = None,
    ) -> None:
        element = graph.forward.type(node.inputs[0]).element
        self._graph, self._centred, self._element = graph, centred, element
        self._axes = graph.integers(*axes)
        dtype = np.float64 if element == TensorProto.DOUBLE else np.float32
        number = node.attributes.get("epsilon", 1e-5) if epsilon is None else epsilon
        value = self._wide(value)
        if centred:
            value = graph.emit("Sub", value, self._mean(value))
        variance = self._mean(graph.emit("Mul", value, value))
        shifted = graph.emit("Add", variance, graph.constant(np.array(number, dtype)))
        self._deviation = graph.emit("Sqrt", shifted)
        self._z = graph.emit("Div", value, self._deviation)

    def normalized(self) -> str:
        """Return z, in the type of the node's input."""
        return self._narrow(self._z)

    def gradient(self, g: str) -> str:
        """Return dx = (g - E g - z E (g z)) / s, where g is the gradient at z."""
        graph, g = self._graph, self._wide(g)
        projection = graph.emit("Mul", self._z, self._mean(graph.emit("Mul", g, self._z)))
        centred = graph.emit("Sub", g, self._mean(g)) if self._centred else g
        residual = graph.emit("Sub", centred, projection)
        return self._narrow(graph.emit("Div", residual, self._deviation))

    def _mean(self, value: str) -> str:
        return self._graph.emit("ReduceMean", value, self._axes, keepdims=1)

    def _wide(self, value: str) -> str:
        half = self._element in _HALF
        return self._graph.emit("Cast", value, to=TensorProto.FLOAT) if half else value

    def _narrow(self, value: str) -> str:
        half = self._element in _HALF
        return self._graph.emit("Cast", value, to=self._element) if half else value


def _lp_normalization(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate y = x / |x| along an axis; zero for a vector of zeros."""
    value, output = graph.saved(node.inputs[0]), graph.saved(node.outputs[0])
    axes = graph.integers(node.attributes.get("axis", -1))
    if node.attributes.get("p", 2) == 1:
        norm = graph.emit("ReduceL1", value, axes, keepdims=1)
        direction = graph.emit("Sign", value)
    else:
        norm = graph.emit("ReduceL2", value, axes, keepdims=1)
        direction = output
    zero = graph.scalar(0, like=value)
    nothing = graph.emit("Equal", norm, zero)
    norm = graph.emit("Where", nothing, graph.scalar(1, like=value), norm)
    product = graph.emit("ReduceSum", graph.emit("Mul", gradient, output), axes, keepdims=1)
    residual = graph.emit("Sub", gradient, graph.emit("Mul", direction, product))
    return {0: graph.emit("Where", nothing, zero, graph.emit("Div", residual, norm))}


def _local_response(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate y = x d^-beta with d = bias + alpha E x^2, a mean over neighbouring channels.

    dx = g d^-beta - 2 alpha beta x E'(g y / d), where E' is over the channels whose mean has this
    one.
    """
    value, output = graph.saved(node.inputs[0]), graph.saved(node.outputs[0])
    size, alpha, beta = (
        node.attributes.get(key, default)
        for key, default in (("size", None), ("alpha", 1e-4), ("beta", 0.75))
    )
    before, after = (size - 1) // 2, size // 2
    sizes = graph.shape(node.inputs[0])
    channels = graph.emit("Gather", sizes, graph.integers(1))
    columns = graph.emit("Concat", graph.integers(0, 1), channels, graph.integers(-1), axis=0)

    def mean(addend: str, before: int, after: int) -> str:
        column = graph.emit("Reshape", addend, columns)
        pooled = graph.emit(
            "AveragePool",
            column,
            kernel_shape=[size, 1],
            pads=[before, 0, after, 0],
            count_include_pad=1,
        )
        return graph.emit("Reshape", pooled, sizes)

    scaled = graph.emit(
        "Mul", mean(graph.emit("Mul", value, value), before, after), graph.scalar(alpha, like=value)
    )
    divisor = graph.emit("Add", scaled, graph.scalar(node.attributes.get("bias", 1.0), like=value))
    power = graph.emit("Pow", divisor, graph.scalar(-beta, like=value))
    direct = graph.emit("Mul", gradient, power)
    share = graph.emit("Div", graph.emit("Mul", gradient, output), divisor)
    factor = graph.emit("Mul", value, graph.scalar(2 * alpha * beta, like=value))
    return {0: graph.emit("Sub", direct, graph.emit("Mul", factor, mean(share, after, before)))}


def _require_constant_scale(node: Node) -> None:
    if node.active != {0}:
        raise node.unsupported("its scale depends on the image")


def _of_channels(graph: BackwardGraph, vector: str, rank: int) -> str:
    """Return a vector with a number for each channel, so that it multiplies a value of a rank."""
    return graph.emit("Reshape", graph.saved(vector), graph.integers(-1, *[1] * (rank - 2)))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "GroupNormalization": _group_normalization,
        "InstanceNormalization": _instance_normalization,
        "LRN": _local_response,
        "LayerNormalization": _layer_normalization,
        "LpNormalization": _lp_normalization,
        "MeanVarianceNormalization": _mean_variance_normalization,
        "RMSNormalization": _rms_normalization,
    }
)
