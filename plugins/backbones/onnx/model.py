"""ONNX models that a backend runs, from an image to layers, extracted from an ONNX file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ....core.errors import WeightsError
from ....core.shown import one_line
from ..preprocessing import CAFFE_MEAN, CAFFE_SCALE, IMAGENET_MEAN, IMAGENET_SCALE
from .subgraphs import rename_uses, uses

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

OnnxPreprocessing = Literal["caffe", "torchvision", "none"]

#: Input of the extracted models: (N, 3, H, W), float32, RGB in [0, 1].
_IMAGE = "image"
_PREPARED = "stylectl/prepared"
#: Least version of the operators: older ones have attributes where newer ones have inputs.
_OPSET = 18

#: Mean that is subtracted from the channels, scale that divides them, and their order after that.
_NORMALIZATION: Mapping[OnnxPreprocessing, tuple[tuple[float, ...], ...]] = {
    "caffe": (CAFFE_MEAN, CAFFE_SCALE, (2, 1, 0)),
    "torchvision": (IMAGENET_MEAN, IMAGENET_SCALE, (0, 1, 2)),
}


def image_model(
    model: ModelProto,
    path: Path,
    source: str,
    image: str,
    layers: Collection[str],
    preprocessing: OnnxPreprocessing,
) -> ModelProto:
    """Extract the part of `model` that computes `layers`, preceded by the preprocessing.

    `path` is the file of `model`, `source` its name in messages, `image` the name of its input.
    Raises WeightsError when the part cannot be extracted.
    """
    import onnx

    extracted = onnx.ModelProto()
    extracted.CopyFrom(model)
    try:
        onnx.load_external_data_for_model(extracted, str(path.parent))
        if any(
            opset.domain in ("", "ai.onnx") and opset.version < _OPSET
            for opset in extracted.opset_import
        ):
            extracted = onnx.version_converter.convert_version(extracted, _OPSET)
        _drop_unused(extracted.graph, layers)
        _add_preprocessing(extracted.graph, image, preprocessing)
        del extracted.graph.value_info[:], extracted.graph.output[:]
        _add_outputs(extracted, layers)
        onnx.checker.check_model(extracted, full_check=True)
    except (WeightsError, MemoryError):
        raise
    except Exception as error:  # onnx's errors have no common base
        line = one_line(str(error), 200)
        raise WeightsError(f"{source}: its layers cannot be made outputs ({line})") from None
    return extracted


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


def _add_preprocessing(graph: GraphProto, image: str, preprocessing: OnnxPreprocessing) -> None:
    """Insert a 1x1 convolution in front that scales, shifts and reorders the channels."""
    from onnx import TensorProto, helper, numpy_helper

    for node in graph.node:
        rename_uses(node, {image: _PREPARED})
    if preprocessing == "none":
        first = helper.make_node("Identity", [_IMAGE], [_PREPARED])
    else:
        mean, scale, order = (np.array(values) for values in _NORMALIZATION[preprocessing])
        kernel = (np.eye(3) / scale)[order].reshape(3, 3, 1, 1)
        names = ["stylectl/kernel", "stylectl/bias"]
        for name, values in zip(names, (kernel, (-mean / scale)[order]), strict=True):
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
        first = helper.make_node("Conv", [_IMAGE, *names], [_PREPARED], kernel_shape=[1, 1])
    graph.node.insert(0, first)
    del graph.input[:]
    sizes: list[str | int | None] = ["batch", 3, "height", "width"]
    graph.input.append(helper.make_tensor_value_info(_IMAGE, TensorProto.FLOAT, sizes))


def _add_outputs(model: ModelProto, layers: Collection[str]) -> None:
    from onnx import TensorProto, helper, shape_inference

    inferred = shape_inference.infer_shapes(model, strict_mode=True)
    types = {value.name: value for value in inferred.graph.value_info}
    for layer in layers:
        if types[layer].type.tensor_type.elem_type != TensorProto.FLOAT:
            raise WeightsError(f"the layer {layer} is not in float32; choose another one")
        sizes: list[str | int | None] = [
            dim.dim_param or dim.dim_value or None
            for dim in types[layer].type.tensor_type.shape.dim
        ]
        model.graph.output.append(helper.make_tensor_value_info(layer, TensorProto.FLOAT, sizes))
