"""Differentiation of a model: a forward model for its values, a backward one for the gradient."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
from onnx import helper

from .backward import IR_VERSION, BackwardGraph, Finished, cotangent_name
from .errors import NoGradientError
from .expansion import expanded
from .forward import ForwardGraph, ValueType
from .propagation import propagate


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


def differentiate(
    model: onnx.ModelProto, *, on_cpu: bool = False, by: str | None = None
) -> GradientModels:
    """Return models for the values and the vjp of a model with one input, an image.

    A model of several inputs is differentiated with respect to the input `by`. The models run
    anywhere; with `on_cpu` they are made for ONNX Runtime's CPU provider. Raises NoGradientError,
    which names the operator and the node, for a node that no rule supports.
    """
    model = expanded(model)
    forward = ForwardGraph(model, (by,) if by else ())
    backward = BackwardGraph(forward, on_cpu=on_cpu)
    gradients, unsupported = propagate(backward, _cotangents(forward))
    for error in unsupported.values():
        raise error
    result = gradients[forward.image]
    if not result:
        raise NoGradientError("no gradient of a graph whose outputs do not depend on its input")
    finished = backward.finish(result)
    saved = (*finished.saved, *finished.shapes.values())
    return GradientModels(
        _with_outputs(model, forward, finished),
        _backward_model(forward, finished, backward.opset),
        saved,
    )


def layers_without_gradient(model: onnx.ModelProto) -> dict[str, str]:
    """Return why layers of a model have no gradient, by their names; nothing for all others.

    Raises NoGradientError for a model that cannot be read.
    """
    forward = ForwardGraph(expanded(model))
    _, unsupported = propagate(BackwardGraph(forward, on_cpu=True), _cotangents(forward))
    reasons: dict[str, str] = {}
    for number, node in enumerate(forward.nodes):
        before = [node.inputs[position] for position in sorted(node.active)]
        before += sorted(node.captured)
        inherited = [reasons[value] for value in before if value in reasons]
        if number in unsupported:
            inherited.append(str(unsupported[number]))
        for output in node.outputs if inherited else ():
            reasons[output] = inherited[0]
    return {layer: reasons[layer] for layer in forward.layers if layer in reasons}


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


def _cotangents(forward: ForwardGraph) -> list[tuple[str, str]]:
    return [(layer, cotangent_name(layer)) for layer in forward.layers]


def _backward_model(forward: ForwardGraph, finished: Finished, opset: int) -> onnx.ModelProto:
    inputs = [_value_info(value, forward.type(value)) for value in finished.saved]
    inputs += [
        _value_info(name, _shape_type(forward, value)) for value, name in finished.shapes.items()
    ]
    inputs += [_value_info(cotangent_name(layer), forward.type(layer)) for layer in forward.layers]
    output = _value_info(cotangent_name(forward.image), forward.type(forward.image))
    graph = helper.make_graph(
        finished.nodes, "gradient", inputs, [output], list(finished.constants)
    )
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(
        graph, opset_imports=imports, ir_version=IR_VERSION, producer_name="stylectl"
    )


def _shape_type(forward: ForwardGraph, value: str) -> ValueType:
    return ValueType(onnx.TensorProto.INT64, (len(forward.dimensions(value)),))


def _value_info(name: str, value_type: ValueType) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, value_type.element, value_type.dimensions)
