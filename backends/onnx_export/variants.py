"""Variants of a model: another opset, a fixed size, weights of 8 bits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from ...core.errors import BackendError, UsageError
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.trunk import Trunk
from .card import opset_of

#: Largest absolute value of a weight of 8 bits; -128 is not used, so that zero is in the middle.
_LARGEST_CODE = 127


def with_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return the model with the operators of another opset.

    Raises UsageError for an opset that onnx does not know, or cannot convert the model to.
    """
    if opset == opset_of(model):
        return model
    newest = onnx.defs.onnx_opset_version()
    if not 7 <= opset <= newest:
        raise UsageError(
            f"`opset={opset}`: give one from 7 to {newest}, the newest that onnx knows"
        )
    try:
        converted = onnx.version_converter.convert_version(model, opset)
        onnx.checker.check_model(converted, full_check=True)
    except (RuntimeError, ValueError) as error:  # onnx's own errors derive from them
        reason = str(error).strip().splitlines()[0].rpartition("failed: ")[2]
        raise UsageError(
            f"`opset={opset}`: onnx cannot convert the model from {opset_of(model)}: {reason}"
        ) from None
    except onnx.checker.ValidationError as error:
        raise UsageError(
            f"`opset={opset}`: onnx's conversion is no valid model ({' '.join(str(error).split())})"
        ) from None
    converted.metadata_props.extend(model.metadata_props)
    return converted


def with_size(model: onnx.ModelProto, size: tuple[int | str, int | str]) -> onnx.ModelProto:
    """Return the model for one image of the given size, (height, width) in pixels.

    A side may be a name, which stands for any size. The sizes of all values follow from these.
    """
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    del sized.graph.value_info[:]
    for value in sized.graph.output:
        value.type.tensor_type.ClearField("shape")
    element = sized.graph.input[0].type.tensor_type.elem_type
    image = helper.make_tensor_value_info(sized.graph.input[0].name, element, [1, 3, *size])
    sized.graph.input[0].CopyFrom(image)
    inferred = onnx.shape_inference.infer_shapes(sized, strict_mode=True, data_prop=True)
    del inferred.graph.value_info[:]
    if any(not value.type.tensor_type.HasField("shape") for value in inferred.graph.output):
        raise BackendError("the sizes of the model's layers cannot be inferred from the image's")
    return inferred


class QuantizedBackbone(Backbone):
    """A backbone whose weights are rounded to 8 bits: one scale for each output channel.

    The trunk has the rounded weights in float32, so that everything is computed in float32.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self.name, self.layers, self.aliases = backbone.name, backbone.layers, backbone.aliases
        self.default_content_layers = backbone.default_content_layers
        self.default_style_layers = backbone.default_style_layers
        self.wraps, self.source, self.license = backbone.wraps, backbone.source, backbone.license

    def trunk(self, layers: Collection[str]) -> Trunk:
        """Return the trunk with rounded weights; see Backbone.trunk."""
        trunk = self._backbone.trunk(layers)
        with torch.no_grad():
            for module in trunk.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    module.weight = nn.Parameter(_rounded(module.weight), requires_grad=False)
        return trunk


def with_int8_weights(model: onnx.ModelProto, rounded: Mapping[str, Tensor]) -> onnx.ModelProto:
    """Return the model with the `rounded` weights of a `QuantizedBackbone`'s trunk as int8.

    Constants that equal one of them are replaced by their codes, and DequantizeLinear. Raises
    BackendError if none does.
    """
    smaller = onnx.ModelProto()
    smaller.CopyFrom(model)
    arrays = {_key(weight.numpy()) for weight in rounded.values()}
    kept, nodes = [], []
    for tensor in smaller.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.ndim < 2 or _key(array) not in arrays:
            kept.append(tensor)
            continue
        weight = torch.from_numpy(array.copy())
        scale = _scale(weight)
        codes = (weight / scale).round().to(torch.int8)
        names = [f"{tensor.name}.codes", f"{tensor.name}.scale"]
        kept.append(numpy_helper.from_array(codes.numpy(), names[0]))
        kept.append(numpy_helper.from_array(scale.flatten().numpy(), names[1]))
        nodes.append(
            helper.make_node(
                "DequantizeLinear", names, [tensor.name], f"{tensor.name}.node", axis=0
            )
        )
    if not nodes:
        raise BackendError("no weights of the model can be stored as int8")
    others = list(smaller.graph.node)
    del smaller.graph.initializer[:], smaller.graph.node[:]
    smaller.graph.initializer.extend(kept)
    smaller.graph.node.extend([*nodes, *others])
    return smaller


def quantizable_weights(trunk: Trunk) -> Mapping[str, Tensor]:
    """Return the weights of a trunk that `QuantizedBackbone` rounds, by their names."""
    return {
        name: module.weight.detach()
        for name, module in trunk.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }


def _rounded(weight: Tensor) -> Tensor:
    scale = _scale(weight)
    return (weight / scale).round() * scale


def _scale(weight: Tensor) -> Tensor:
    """Return the scale of each output channel (O, 1, ...); 1 for a channel of zeros."""
    largest = weight.abs().amax(tuple(range(1, weight.ndim)), keepdim=True)
    return torch.where(largest > 0, largest / _LARGEST_CODE, 1)


def _key(array: np.ndarray[Any, Any]) -> bytes:
    return np.ascontiguousarray(array).tobytes()
