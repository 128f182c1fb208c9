"""One model of an objective: from the pixels to the loss, its parts, and the pixels' gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
from onnx import helper, numpy_helper
from torch import Tensor

from ...core.interfaces.terms import IMAGE_LAYER
from ..onnx_export.card import opset_of
from ..onnx_gradient import captured, cotangent_name, differentiate
from ..onnx_gradient.backward import IR_VERSION, OPSET
from .fragment import Fragment
from .loss_graph import Dimensions, content_name, layer_name
from .losses import Losses, OnnxTerm, write_losses
from .shared_kernels import with_shared_kernels

#: Names of the models' inputs and outputs. A term's part of the loss is the output `loss/NAME`.
IMAGE, CONTENT, LOSS, GRADIENT = "image", "content", "loss", "gradient"
_NETWORK = "network/"
_CONTENT_NETWORK = "content-network/"


def objective_model(
    network: onnx.ModelProto,
    terms: Sequence[OnnxTerm],
    content: Mapping[str, Tensor] | None,
    least_norm: float | None = None,
) -> onnx.ModelProto:
    """Return the model of an objective, made of a network's model and loss terms.

    The network has one input, an image (1, 3, H, W), whose type is that of all floating values, and
    an output for each layer. `content` has the content image's features at these layers, and the
    pixels. If it is None, and a loss reads the content, the model has the content image as a second
    input, and computes its features at each evaluation. For `least_norm`, see `write_losses`.

    Raises NoGradientError for an operator without a gradient rule, and UsageError and PluginError
    for a loss term.
    """
    if opset_of(network) < OPSET:
        network = onnx.version_converter.convert_version(network, OPSET)
    pair = differentiate(network)
    image = network.graph.input[0]
    element, sizes = image.type.tensor_type.elem_type, dimensions(image)
    known = onnx.shape_inference.infer_shapes(network, data_prop=True).graph
    layers = {value.name: dimensions(value) for value in known.output}
    losses = write_losses(terms, {**layers, IMAGE_LAYER: sizes}, element, least_norm)

    objective = Fragment("objective")
    names = {image.name: IMAGE, **{layer: layer_name(layer) for layer in layers}}
    objective.add(pair.forward.graph, _NETWORK, names=names)
    takes_content = content is None and bool(losses.content_layers)
    if content is None:
        _add_content_network(objective, network, losses.content_layers)
    else:
        for layer in losses.content_layers:
            array = content[layer].cpu().numpy().astype(helper.tensor_dtype_to_np_dtype(element))
            name = content_name(layer)
            objective.constants[name] = numpy_helper.from_array(array, name)
    objective.add_fragment(losses.fragment)
    cotangents = {cotangent_name(layer): losses.cotangents[layer] for layer in layers}
    objective.add(pair.backward.graph, _NETWORK, names={**names, **cotangents})
    gradient = _NETWORK + cotangent_name(image.name)
    if IMAGE_LAYER in losses.cotangents:
        gradient = objective.total([gradient, losses.cotangents[IMAGE_LAYER]])
    objective.alias(gradient, GRADIENT)
    objective.alias(objective.total(list(losses.values.values())), LOSS)
    objective = with_shared_kernels(objective)
    return _model(objective, losses, element, sizes, opset_of(network), takes_content)


def dimensions(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    """Return the dimensions of a value; one without a number or a name gets its position."""
    return tuple(
        size.dim_value if size.HasField("dim_value") else size.dim_param or f"{value.name}.{axis}"
        for axis, size in enumerate(value.type.tensor_type.shape.dim)
    )


def _add_content_network(
    objective: Fragment, network: onnx.ModelProto, content_layers: Sequence[str]
) -> None:
    """Add the network up to the layers of the content image that the losses read."""
    layers = [layer for layer in content_layers if layer != IMAGE_LAYER]
    constants = {tensor.name: _NETWORK + tensor.name for tensor in network.graph.initializer}
    names = {network.graph.input[0].name: CONTENT}
    names |= {layer: content_name(layer) for layer in layers}
    needed, nodes = set(layers), []
    for node in reversed(network.graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(node.input, captured(node))
    graph = onnx.GraphProto(node=reversed(nodes))
    objective.add(graph, _CONTENT_NETWORK, names={**constants, **names})
    if IMAGE_LAYER in content_layers:
        objective.alias(CONTENT, content_name(IMAGE_LAYER))


def _model(
    objective: Fragment,
    losses: Losses,
    element: int,
    sizes: Dimensions,
    opset: int,
    takes_content: bool,
) -> onnx.ModelProto:
    inputs = [IMAGE, CONTENT] if takes_content else [IMAGE]
    outputs: list[tuple[str, Dimensions]] = [(LOSS, []), (GRADIENT, sizes)]
    outputs += [(name, []) for name in losses.values.values()]
    graph = helper.make_graph(
        objective.nodes,
        "objective",
        [helper.make_tensor_value_info(name, element, sizes) for name in inputs],
        [helper.make_tensor_value_info(name, element, dims) for name, dims in outputs],
        list(objective.constants.values()),
    )
    model = helper.make_model(
        graph,
        producer_name="stylectl",
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model
