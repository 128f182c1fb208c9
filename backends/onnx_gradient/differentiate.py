"""Differentiation of a model: a forward model for its values, a backward one for the gradient."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
from onnx import helper

from .backward import OPSET, BackwardGraph, Finished, Rule
from .errors import NoGradientError
from .forward import ForwardGraph, Node, ValueType
from .rules import RULES

#: IR version of opset 18's release or later, which onnxruntime 1.20 reads.
_IR_VERSION = 10


@dataclass(frozen=True)
class GradientModels:
    """A forward model and its backward model.

    `forward` has the outputs of the model that it was made from (the layers), and those of `saved`
    that were not outputs. `backward` takes the values `saved` and, for each layer, its cotangent
    `cotangent_name(layer)`; its one output is the gradient at the image.
    """

    forward: onnx.ModelProto
    backward: onnx.ModelProto
    saved: tuple[str, ...]


def cotangent_name(layer: str) -> str:
    """Return the name of the backward model's input for the cotangent of a layer."""
    return f"d_{layer}"


def differentiate(
    model: onnx.ModelProto, *, on_cpu: bool = False, by: str | None = None
) -> GradientModels:
    """Return models for the values and the vjp of a model with one input, an image.

    A model of several inputs is differentiated with respect to the input `by`. The models run
    anywhere; with `on_cpu` they are made for ONNX Runtime's CPU provider. Raises NoGradientError,
    which names the operator and the node, for a node that no rule supports.
    """
    forward = ForwardGraph(model, by)
    backward = BackwardGraph(forward, on_cpu=on_cpu)
    pending = {layer: [cotangent_name(layer)] for layer in forward.layers}
    for node in reversed(forward.nodes):
        if not node.active:
            continue
        gradient = _total(backward, pending.pop(node.outputs[0], []))
        if any(output in pending for output in node.outputs[1:]):
            raise node.unsupported("another output than its first is used")
        if gradient:
            for position, part in _rule(node)(backward, node, gradient).items():
                pending.setdefault(node.inputs[position], []).append(part)
    result = _total(backward, pending.pop(forward.image, []))
    if not result:
        raise NoGradientError("no gradient of a graph whose outputs do not depend on its input")
    finished = backward.finish(result)
    saved = (*finished.saved, *finished.shapes.values())
    return GradientModels(
        _with_outputs(model, forward, finished), _backward_model(forward, finished), saved
    )


def _total(backward: BackwardGraph, parts: list[str]) -> str:
    total = ""
    for part in parts:
        total = backward.emit("Add", total, part) if total else part
    return total


def _rule(node: Node) -> Rule:
    if node.operator not in RULES:
        raise node.unsupported("there is no rule for this operator")
    return RULES[node.operator]


def _with_outputs(
    model: onnx.ModelProto, forward: ForwardGraph, finished: Finished
) -> onnx.ModelProto:
    """Return the forward model, with the values that the backward one uses as further outputs."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    graph = extended.graph
    for value in finished.saved:
        if value not in (*forward.layers, forward.image):
            graph.output.append(_value_info(value, forward.type(value)))
    for value, name in finished.shapes.items():
        graph.node.append(helper.make_node("Shape", [value], [name], name))
        graph.output.append(_value_info(name, _shape_type(forward, value)))
    return extended


def _backward_model(forward: ForwardGraph, finished: Finished) -> onnx.ModelProto:
    inputs = [_value_info(value, forward.type(value)) for value in finished.saved]
    inputs += [
        _value_info(name, _shape_type(forward, value)) for value, name in finished.shapes.items()
    ]
    inputs += [_value_info(cotangent_name(layer), forward.type(layer)) for layer in forward.layers]
    output = _value_info(cotangent_name(forward.image), forward.type(forward.image))
    graph = helper.make_graph(
        finished.nodes, "gradient", inputs, [output], list(finished.constants)
    )
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(
        graph, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="stylectl"
    )


def _shape_type(forward: ForwardGraph, value: str) -> ValueType:
    return ValueType(onnx.TensorProto.INT64, (len(forward.dimensions(value)),))


def _value_info(name: str, value_type: ValueType) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, value_type.element, value_type.dimensions)
