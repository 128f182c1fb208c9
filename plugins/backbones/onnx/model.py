"""ONNX models that a backend runs, from an image to layers, extracted from an ONNX file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ....core.errors import WeightsError
from ....core.shown import one_line
from ..preprocessing import CAFFE_MEAN, CAFFE_SCALE, IMAGENET_MEAN, IMAGENET_SCALE
from .graph import OnnxMaps
from .inputs import ImageInput
from .reading import MOST_BYTES, stored_bytes
from .subgraphs import rename_uses, uses

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

OnnxPreprocessing = Literal["caffe", "torchvision", "none"]

#: Input of the extracted models: (N, 3, H, W), float32, RGB in [0, 1].
_IMAGE = "image"
_PREPARED = "stylectl/prepared"
#: Prefix of the network's own values whose names are layers.
_OWN = "stylectl/own/"
#: Order of axes that makes (N, C, H, W) from (N, H, W, C).
_FIRST = [0, 3, 1, 2]
#: Least version of operators that ONNX Runtime supports, and the one to which older ones are
#: converted.
_OPSET, _NEWER_OPSET = 7, 18
#: Least IR version in which weights are not inputs.
_IR_VERSION = 4

#: Mean that is subtracted from the channels, scale that divides them, and their order after that.
_NORMALIZATION: Mapping[OnnxPreprocessing, tuple[tuple[float, ...], ...]] = {
    "caffe": (CAFFE_MEAN, CAFFE_SCALE, (2, 1, 0)),
    "torchvision": (IMAGENET_MEAN, IMAGENET_SCALE, (0, 1, 2)),
}


def image_model(
    model: ModelProto,
    path: Path,
    source: str,
    maps: OnnxMaps,
    layers: Collection[str],
    preprocessing: OnnxPreprocessing,
) -> ModelProto:
    """Extract the part of `model` that computes `layers`, preceded by the preprocessing.

    `path` is the file of `model`, `source` its name in messages, `maps` its feature maps. Layers
    are (N, C, H, W) in float32, whatever the file's are. Raises WeightsError when the part cannot
    be extracted.
    """
    import onnx

    extracted = onnx.ModelProto()
    extracted.CopyFrom(model)
    try:
        _drop_unused(extracted.graph, layers)
        size = sum(stored_bytes(tensor, path.parent) for tensor in extracted.graph.initializer)
        if size > MOST_BYTES:
            raise WeightsError(
                f"{source}: these layers have {size / 1e9:.1f} GB of weights, and a model can have "
                f"{MOST_BYTES / 1e9:g} GB; choose layers that are less deep"
            )
        onnx.load_external_data_for_model(extracted, str(path.parent))
        if _opset(extracted) < _OPSET:
            extracted = onnx.version_converter.convert_version(extracted, _NEWER_OPSET)
        extracted.ir_version = max(extracted.ir_version, _IR_VERSION)
        _add_preprocessing(extracted.graph, maps.image, preprocessing)
        del extracted.graph.value_info[:], extracted.graph.output[:]
        _add_shapes(extracted, maps.shapes)
        _add_outputs(extracted, layers, maps.channels_last)
        onnx.checker.check_model(extracted, full_check=True)
    except (WeightsError, MemoryError):
        raise
    except Exception as error:  # onnx's errors have no common base
        line = one_line(str(error), 200)
        raise WeightsError(f"{source}: its layers cannot be made outputs ({line})") from None
    return extracted


def without_heavy_layers(maps: OnnxMaps, model: ModelProto, folder: Path) -> OnnxMaps:
    """Return the maps without layers whose weights are more than a model can have.

    `folder` is that of the model's file.
    """
    sizes = {tensor.name: stored_bytes(tensor, folder) for tensor in model.graph.initializer}
    if sum(sizes.values()) <= MOST_BYTES:
        return maps
    heavy = {}
    for info in maps.layers:
        part = type(model.graph)(node=model.graph.node)
        _drop_unused(part, [info.name])
        used = {name for node in part.node for name in uses(node)}
        size = sum(sizes.get(name, 0) for name in used)
        if size > MOST_BYTES:
            heavy[info.name] = (
                f"it has {size / 1e9:.1f} GB of weights; a model can have {MOST_BYTES / 1e9:g} GB"
            )
    return replace(
        maps,
        layers=tuple(info for info in maps.layers if info.name not in heavy),
        stages=tuple(info for info in maps.stages if info.name not in heavy),
        unusable={**maps.unusable, **heavy},
    )


def _opset(model: ModelProto) -> int:
    versions = (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    return max(versions, default=1)


def _drop_unused(graph: GraphProto, layers: Collection[str]) -> None:
    """Remove the nodes and weights on which none of `layers` depends."""
    needed, kept = set(layers), []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= uses(node)
            kept.append(node)
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(weights)


def _add_preprocessing(
    graph: GraphProto, image: ImageInput, preprocessing: OnnxPreprocessing
) -> None:
    """Insert a 1x1 convolution in front that scales, shifts and reorders the channels.

    It is followed by what changes (N, 3, H, W) in float32 to the network's own input.
    """
    from onnx import TensorProto, helper, numpy_helper

    for node in graph.node:
        rename_uses(node, {image.name: _PREPARED})
    value, nodes = _IMAGE, []

    def add(operator: str, *inputs: str, **attributes: Any) -> None:
        nonlocal value
        output = f"{_PREPARED}/{operator}"
        nodes.append(helper.make_node(operator, [value, *inputs], [output], **attributes))
        value = output

    if preprocessing != "none":
        mean, scale, order = (np.array(values) for values in _NORMALIZATION[preprocessing])
        kernel = (np.eye(3) / scale)[order].reshape(3, 3, 1, 1)
        names = ["stylectl/kernel", "stylectl/bias"]
        for name, values in zip(names, (kernel, (-mean / scale)[order]), strict=True):
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
        add("Conv", *names, kernel_shape=[1, 1])
    if image.channels_last:
        add("Transpose", perm=[0, 2, 3, 1])
    if image.element != TensorProto.FLOAT:
        add("Cast", to=image.element)
    if not nodes:
        add("Identity")
    nodes[-1].output[0] = _PREPARED
    for index, node in enumerate(nodes):
        graph.node.insert(index, node)
    del graph.input[:]
    sizes: list[str | int | None] = ["batch", 3, "height", "width"]
    graph.input.append(helper.make_tensor_value_info(_IMAGE, TensorProto.FLOAT, sizes))


def _add_shapes(model: ModelProto, shapes: Mapping[str, tuple[int, tuple[int, ...]]]) -> None:
    """State the shapes that onnx does not infer for images of any size."""
    from onnx import helper, shape_inference

    graph = shape_inference.infer_shapes(model).graph
    inferred = {
        value.name for value in graph.value_info if value.type.tensor_type.HasField("shape")
    }
    for node in model.graph.node:
        for name in node.output:
            if name in shapes and name not in inferred:
                element, dims = shapes[name]
                sizes = [size or None for size in dims]
                model.graph.value_info.append(helper.make_tensor_value_info(name, element, sizes))


def _add_outputs(
    model: ModelProto, layers: Collection[str], channels_last: Collection[str]
) -> None:
    """Make layers outputs, (N, C, H, W) in float32; the network's own values get other names."""
    from onnx import TensorProto, helper, shape_inference

    inferred = shape_inference.infer_shapes(model, strict_mode=True)
    types = {value.name: value.type.tensor_type for value in inferred.graph.value_info}
    names, graph = {}, model.graph
    for layer in layers:
        sizes: list[str | int | None] = [
            dim.dim_param or dim.dim_value or None for dim in types[layer].shape.dim
        ]
        value = _OWN + layer
        conversions: list[tuple[str, dict[str, Any]]] = []
        if types[layer].elem_type != TensorProto.FLOAT:
            conversions.append(("Cast", {"to": TensorProto.FLOAT}))
        if layer in channels_last:
            conversions.append(("Transpose", {"perm": _FIRST}))
            sizes = [sizes[axis] for axis in _FIRST]
        if conversions:
            names[layer] = value
        for number, (operator, attributes) in enumerate(conversions, 1):
            output = layer if number == len(conversions) else f"{value}/{operator}"
            graph.node.append(helper.make_node(operator, [value], [output], **attributes))
            value = output
        graph.output.append(helper.make_tensor_value_info(layer, TensorProto.FLOAT, sizes))
    _rename(graph, names)


def _rename(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Rename values where the network's nodes compute and use them."""
    for node in graph.node:
        if any(name.startswith(_OWN) for name in node.input):
            continue  # it makes an output of one
        rename_uses(node, names)
        for index, name in enumerate(node.output):
            node.output[index] = names.get(name, name)
