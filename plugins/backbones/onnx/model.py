"""From an ONNX file's network to the model that a backend runs: from an image to the layers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ....core.errors import WeightsError
from ..preprocessing import CAFFE_MEAN, CAFFE_SCALE, IMAGENET_MEAN, IMAGENET_SCALE

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

OnnxPreprocessing = Literal["caffe", "torchvision", "none"]

#: The one input of the models made here: (N, 3, H, W), float32, RGB in [0, 1].
_IMAGE = "image"
_PREPARED = "stylectl/prepared"
#: Older operators keep in attributes what the newer take as inputs.
_OPSET = 18

#: What is taken from the channels, what they are then divided by, and their order after that.
_NORMALIZATION: Mapping[OnnxPreprocessing, tuple[tuple[float, ...], ...]] = {
    "caffe": (CAFFE_MEAN, CAFFE_SCALE, (2, 1, 0)),
    "torchvision": (IMAGENET_MEAN, IMAGENET_SCALE, (0, 1, 2)),
}


def image_model(
    model: ModelProto,
    path: Path,
    image: str,
    layers: Collection[str],
    preprocessing: OnnxPreprocessing,
) -> ModelProto:
    """The part of `model`, which was read from `path`, that gives `layers`, with the preprocessing
    of its input `image` in front. Raises WeightsError when it cannot be made."""
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
    try:
        onnx.load_external_data_for_model(made, str(path.parent))
        if any(
            each.domain in ("", "ai.onnx") and each.version < _OPSET for each in made.opset_import
        ):
            made = onnx.version_converter.convert_version(made, _OPSET)
        _keep_what_leads_to(made.graph, layers)
        _prepare(made.graph, image, preprocessing)
        del made.graph.value_info[:], made.graph.output[:]
        _name_outputs(made, layers)
        onnx.checker.check_model(made, full_check=True)
    except WeightsError:
        raise
    except Exception as error:  # onnx's own have no common base
        line = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path}: cannot be made to give its layers ({line})") from None
    return made


def _keep_what_leads_to(graph: GraphProto, layers: Collection[str]) -> None:
    wanted, kept = set(layers), []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            wanted |= set(node.input) | _used_within(node)
            kept.append(node)
    weights = [each for each in graph.initializer if each.name in wanted]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(weights)


def _used_within(node: NodeProto) -> set[str]:
    """What graphs inside of a node take from outside of it, and more."""
    inner = [graph for each in node.attribute for graph in (*each.graphs, each.g)]
    return {name for graph in inner for each in graph.node for name in each.input}


def _prepare(graph: GraphProto, image: str, preprocessing: OnnxPreprocessing) -> None:
    """One convolution of one pixel scales, shifts and reorders the channels."""
    from onnx import TensorProto, helper, numpy_helper

    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == image:
                node.input[place] = _PREPARED
    if preprocessing == "none":
        first = helper.make_node("Identity", [_IMAGE], [_PREPARED])
    else:
        mean, scale, order = (np.array(each) for each in _NORMALIZATION[preprocessing])
        kernel = (np.eye(3) / scale)[order].reshape(3, 3, 1, 1)
        names = ["stylectl/kernel", "stylectl/bias"]
        for name, values in zip(names, (kernel, (-mean / scale)[order]), strict=True):
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
        first = helper.make_node("Conv", [_IMAGE, *names], [_PREPARED], kernel_shape=[1, 1])
    graph.node.insert(0, first)
    del graph.input[:]
    sizes: list[str | int | None] = ["batch", 3, "height", "width"]
    graph.input.append(helper.make_tensor_value_info(_IMAGE, TensorProto.FLOAT, sizes))


def _name_outputs(model: ModelProto, layers: Collection[str]) -> None:
    from onnx import TensorProto, helper, shape_inference

    inferred = shape_inference.infer_shapes(model, strict_mode=True)
    types = {value.name: value for value in inferred.graph.value_info}
    for layer in layers:
        if types[layer].type.tensor_type.elem_type != TensorProto.FLOAT:
            raise WeightsError(f"the layer {layer} is not in float32; choose another one")
        sizes: list[str | int | None] = [
            each.dim_param or each.dim_value or None
            for each in types[layer].type.tensor_type.shape.dim
        ]
        model.graph.output.append(helper.make_tensor_value_info(layer, TensorProto.FLOAT, sizes))
