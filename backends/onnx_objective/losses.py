"""The weighted losses of an objective as ONNX nodes, and the cotangents of the layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import onnx

from ...core.interfaces.terms import LossGraph
from ..onnx_gradient import cotangent_name, differentiate
from .fragment import Fragment
from .loss_graph import Dimensions, OnnxLossGraph, layer_name


@dataclass(frozen=True)
class OnnxTerm:
    """A loss term with its weight in the objective, and its layers' weights within the term.

    - `label`: names the term in errors.
    - `write`: adds the nodes of the unweighted loss to a graph, and returns the loss's name.
    """

    name: str
    label: str
    weight: float
    layer_weights: Mapping[str, float]
    write: Callable[[LossGraph], str]


@dataclass
class Losses:
    """The nodes of all losses.

    - `values`: the name of each term's weighted loss, a scalar, by the term's name.
    - `cotangents`: the name of each layer's cotangent, the gradient of the sum of the losses.
    - `content_layers`: layers of the content image that the losses read.
    """

    fragment: Fragment
    values: dict[str, str] = field(default_factory=dict)
    cotangents: dict[str, str] = field(default_factory=dict)
    content_layers: tuple[str, ...] = ()


def write_losses(
    terms: Sequence[OnnxTerm],
    layers: Mapping[str, Dimensions],
    element: int,
    least_norm: float | None = None,
) -> Losses:
    """Return the losses of features of the dimensions `layers`, and the layers' cotangents.

    With a `least_norm`, the gradient of a term at each of its layers is scaled to an L1 norm of 1,
    times the weights of term and layer; `least_norm`, times the weight, is added to the norm.
    Raises NoGradientError for a loss with an operator that has no gradient rule.
    """
    losses = Losses(Fragment("losses"))
    content: dict[str, None] = {}
    gradients: dict[str, list[str]] = {}
    for term in terms:
        graph = OnnxLossGraph(term.label, f"term/{term.name}/", layers, element)
        loss = graph.node("Mul", term.write(graph), term.weight)
        value = losses.values[term.name] = f"loss/{term.name}"
        model = graph.model(loss, value)
        content |= dict.fromkeys(graph.content_layers)
        losses.fragment.add(model.graph)
        for layer in graph.layers:
            gradient = _gradient(losses.fragment, model, value, layer, element)
            if least_norm is not None:
                weight = term.weight * term.layer_weights.get(layer, 1.0)
                floor = term.weight * least_norm
                gradient = _normalized(losses.fragment, gradient, weight, floor, element)
            gradients.setdefault(layer, []).append(gradient)
    for layer, of_layer in gradients.items():
        losses.cotangents[layer] = losses.fragment.total(of_layer)
    losses.content_layers = tuple(content)
    return losses


def _gradient(
    fragment: Fragment, model: onnx.ModelProto, loss: str, layer: str, element: int
) -> str:
    """Add the gradient of a loss at one of its layers, and return its name."""
    pair = differentiate(model, by=layer_name(layer))
    prefix = f"{loss}/at/{layer}/"
    outside = {value.name for value in (*model.graph.input, *model.graph.output)}
    outside |= {name for node in model.graph.node for name in node.output}
    outside |= {tensor.name for tensor in model.graph.initializer}
    # The forward model has the loss's own nodes again, and nodes for shapes of its values.
    added = onnx.GraphProto()
    added.node.extend(pair.forward.graph.node[len(model.graph.node) :])
    names = {name: name for name in outside}
    names[cotangent_name(loss)] = fragment.constant(1.0, element)
    for graph in (added, pair.backward.graph):
        fragment.add(graph, prefix, names)
    return prefix + cotangent_name(layer_name(layer))


def _normalized(
    fragment: Fragment, gradient: str, weight: float, floor: float, element: int
) -> str:
    norm = fragment.node("Abs", gradient)
    last = fragment.constant([-1], onnx.TensorProto.INT64)
    for _ in range(4):  # one axis at a time, since long sums lose digits in float32
        norm = fragment.node("ReduceSum", norm, last, keepdims=0)
    norm = fragment.node("Add", norm, fragment.constant(floor, element))
    factor = fragment.node("Div", fragment.constant(weight, element), norm)
    return fragment.node("Mul", gradient, factor)
