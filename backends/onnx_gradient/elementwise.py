"""Gradient rules for functions of single elements, and for sums and products of two values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from onnx import TensorProto

from .backward import BackwardGraph, Rule
from .forward import Node

#: Slope of a ramp that is above 1 at the smallest normal float32, 1.2e-38.
_STEEP = 3e38


def _relu(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Mask the gradient by the sign of the output.

    The input is not used, so that the runtime may fuse the rectifier with the operator before it.
    If max pooling alone uses the output, the mask is applied by the rule of max pooling.
    """
    output = node.outputs[0]
    if graph.forward.is_pooled_rectifier(output):
        return {0: gradient}
    return {0: where_positive(graph, gradient, graph.saved(output), like=output)}


def where_positive(graph: BackwardGraph, gradient: str, value: str, like: str) -> str:
    """Return the gradient where `value` is above zero, and zero elsewhere.

    `value` has the element type of `like`. The gradient is multiplied by a mask of zeros and ones:
    ONNX Runtime takes a third longer with `Where`. A steep ramp computes the mask in one pass, a
    comparison and a cast take two; it is exact but for values so small that they have no normal
    float32, which no activation that counts has.
    """
    element = graph.forward.type(like).element
    if element == TensorProto.FLOAT and graph.is_saved(value):
        mask = graph.emit_late("HardSigmoid", value, alpha=_STEEP, beta=0.0)
    else:
        above = graph.emit("Greater", value, _zero_after(graph, gradient, element))
        mask = graph.emit("Cast", above, to=element)
    return graph.emit("Mul", gradient, mask)


def _leaky_relu(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    slope = node.attributes.get("alpha", 0.01)
    # With a positive slope the output has the input's sign.
    value = node.outputs[0] if slope > 0 else node.inputs[0]
    sloped = graph.emit("Mul", gradient, graph.scalar(slope, like=node.inputs[0]))
    return {0: graph.emit("Where", _positive(graph, value), gradient, sloped)}


def _sigmoid(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    output = graph.saved(node.outputs[0])
    complement = graph.emit("Sub", graph.scalar(1, like=output), output)
    return {0: graph.emit("Mul", gradient, graph.emit("Mul", output, complement))}


def _hard_sigmoid(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate max(0, min(1, alpha x + beta)): zero on the bounds, as in torch."""
    output, slope = graph.saved(node.outputs[0]), node.attributes.get("alpha", 0.2)
    sloped = graph.emit("Mul", gradient, graph.scalar(slope, like=output))
    below_one = graph.emit("Less", output, graph.scalar(1, like=output))
    inside = graph.emit("And", _positive(graph, node.outputs[0]), below_one)
    return {0: graph.emit("Where", inside, sloped, _zero(graph, node))}


def _hard_swish(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Differentiate x max(0, min(1, x/6 + 1/2)): the slope is 0, x/3 + 1/2, or 1."""
    value = graph.saved(node.inputs[0])
    low, high, one, third, half = (
        graph.scalar(number, like=value) for number in (-3, 3, 1, 1 / 3, 0.5)
    )
    slope = graph.emit("Add", graph.emit("Mul", value, third), half)
    slope = graph.emit("Where", graph.emit("LessOrEqual", value, high), slope, one)
    slope = graph.emit("Where", graph.emit("Less", value, low), _zero(graph, node), slope)
    return {0: graph.emit("Mul", gradient, slope)}


def _erf(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Multiply by the derivative 2 / sqrt(pi) exp(-x^2)."""
    value = graph.saved(node.inputs[0])
    gaussian = graph.emit("Exp", graph.emit("Neg", graph.emit("Mul", value, value)))
    slope = graph.emit("Mul", gaussian, graph.scalar(2 / math.sqrt(math.pi), like=value))
    return {0: graph.emit("Mul", gradient, slope)}


def _tanh(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    output = graph.saved(node.outputs[0])
    square = graph.emit("Mul", output, output)
    slope = graph.emit("Sub", graph.scalar(1, like=output), square)
    return {0: graph.emit("Mul", gradient, slope)}


def _softplus(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    slope = graph.emit("Sigmoid", graph.saved(node.inputs[0]))
    return {0: graph.emit("Mul", gradient, slope)}


def _sqrt(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    double = graph.emit("Mul", graph.saved(node.outputs[0]), graph.scalar(2, node.outputs[0]))
    return {0: graph.emit("Div", gradient, double)}


def _abs(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Multiply by the sign: zero at zero, as in torch."""
    return {0: graph.emit("Mul", gradient, graph.emit("Sign", graph.saved(node.inputs[0])))}


def _exp(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    return {0: graph.emit("Mul", gradient, graph.saved(node.outputs[0]))}


def _log(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    return {0: graph.emit("Div", gradient, graph.saved(node.inputs[0]))}


def _where(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Pass the gradient to each value where it was selected, and zero elsewhere."""
    condition, zero = graph.saved(node.inputs[0]), graph.scalar(0, like=node.outputs[0])
    choices = {1: (condition, gradient, zero), 2: (condition, zero, gradient)}
    return {
        position: unbroadcast(graph, graph.emit("Where", *choices[position]), node, position)
        for position in node.active
        if position in choices
    }


def _clip(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Pass the gradient between the bounds and on them.

    So a pixel on a bound can move back inside. torch.clamp passes it there before torch 2.14 only.
    """
    if node.active - {0}:
        raise node.unsupported("its bounds depend on the image")
    value = graph.saved(node.inputs[0])
    for position, name, comparison in ((1, "min", "GreaterOrEqual"), (2, "max", "LessOrEqual")):
        if name in node.attributes:  # before opset 11
            bound = graph.scalar(node.attributes[name], like=value)
        elif node.input(position):
            bound = graph.saved(node.input(position))
        else:
            continue
        inside = graph.emit(comparison, value, bound)
        gradient = graph.emit("Where", inside, gradient, _zero(graph, node))
    return {0: gradient}


def _cast(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    element = graph.forward.type(node.inputs[0]).element
    return {0: graph.emit("Cast", gradient, to=element)}


def _identity(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    return {0: gradient}


def _dropout(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    if node.input(2):
        raise node.unsupported("it may be in training mode")
    return {0: gradient}


def _negative(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    return {0: graph.emit("Neg", gradient)}


def _add(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    return {position: unbroadcast(graph, gradient, node, position) for position in node.active}


def _sub(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    signed = {0: gradient} | ({1: graph.emit("Neg", gradient)} if 1 in node.active else {})
    return {
        position: unbroadcast(graph, signed[position], node, position) for position in node.active
    }


def _mul(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    def gradient_at(position: int) -> str:
        other = graph.saved(node.inputs[1 - position])
        return unbroadcast(graph, graph.emit("Mul", gradient, other), node, position)

    return {position: gradient_at(position) for position in node.active}


def _div(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Apply d(a / b) = da / b - (a / b) db / b."""
    quotient = graph.emit("Div", gradient, graph.saved(node.inputs[1]))
    gradients = {}
    if 0 in node.active:
        gradients[0] = unbroadcast(graph, quotient, node, 0)
    if 1 in node.active:
        product = graph.emit("Mul", quotient, graph.saved(node.outputs[0]))
        gradients[1] = unbroadcast(graph, graph.emit("Neg", product), node, 1)
    return gradients


def unbroadcast(graph: BackwardGraph, gradient: str, node: Node, position: int) -> str:
    """Return the gradient at an input of a node that broadcasts.

    It is summed over the axes that the input lacks, and over those along which the input has one
    element and the output may have more.
    """
    input_sizes = graph.forward.dimensions(node.inputs[position])
    output_sizes = graph.forward.dimensions(node.outputs[0])
    missing = len(output_sizes) - len(input_sizes)
    if missing:
        axes = graph.integers(*range(missing))
        gradient = graph.emit("ReduceSum", gradient, axes, keepdims=0)
    pairs = list(enumerate(zip(input_sizes, output_sizes[missing:], strict=True)))
    # Sizes that are only known when the graph runs may turn out to be one.
    if any(
        not isinstance(before, int) and (before is None or before != after)
        for _, (before, after) in pairs
    ):
        ones = graph.emit("Equal", graph.shape(node.inputs[position]), graph.integers(1))
        indices = graph.emit("NonZero", ones)  # (1, number of axes of size one)
        axes = graph.emit("Reshape", indices, graph.integers(-1))
        return graph.emit("ReduceSum", gradient, axes, keepdims=1, noop_with_empty_axes=1)
    single = [axis for axis, (before, after) in pairs if before == 1 and after != 1]
    if not single:
        return gradient
    return graph.emit("ReduceSum", gradient, graph.integers(*single), keepdims=1)


def _positive(graph: BackwardGraph, value: str) -> str:
    return graph.emit("Greater", graph.saved(value), graph.scalar(0, like=value))


def _zero_after(graph: BackwardGraph, gradient: str, element: int) -> str:
    """Return a zero that cannot be computed before the gradient.

    A mask depends on the forward pass alone. ONNX Runtime would compute all masks first and hold
    them, which would take as much memory as the activations.
    """
    size = graph.emit("Size", gradient)
    return graph.emit("Cast", graph.emit("Sub", size, size), to=element)


def _zero(graph: BackwardGraph, node: Node) -> str:
    return graph.scalar(0, like=node.inputs[0])


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "Abs": _abs,
        "Add": _add,
        "Cast": _cast,
        "Clip": _clip,
        "Div": _div,
        "Dropout": _dropout,
        "Erf": _erf,
        "Exp": _exp,
        "HardSigmoid": _hard_sigmoid,
        "HardSwish": _hard_swish,
        "Identity": _identity,
        "LeakyRelu": _leaky_relu,
        "Log": _log,
        "Mul": _mul,
        "Neg": _negative,
        "Relu": _relu,
        "Sigmoid": _sigmoid,
        "Softplus": _softplus,
        "Sqrt": _sqrt,
        "Sub": _sub,
        "Tanh": _tanh,
        "Where": _where,
    }
)
