"""The export of a backbone's network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from ...backends.onnx_export.card import add_to_card, backbone_card
from ...backends.onnx_export.check import check_model
from ...backends.onnx_export.export import export_trunk
from ...backends.onnx_export.variants import (
    QuantizedBackbone,
    quantizable_weights,
    with_int8_weights,
    with_opset,
    with_size,
)
from ...core.errors import UsageError
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.trunk import Trunk
from .variant import Variant


@dataclass(frozen=True)
class ExportedNetwork:
    """A network's model, and the relative L2 distance of each layer from torch."""

    model: onnx.ModelProto
    distances: Mapping[str, float]


def export_network(backbone: Backbone, layers: Sequence[str], variant: Variant) -> ExportedNetwork:
    """Return the checked model of the network up to `layers` (canonical names, in order).

    Raises UsageError for a variant that the network does not have, BackendError for a network
    without an ONNX form, or one that differs from torch, and WeightsError.
    """
    deepest = backbone.deepest(layers)
    if variant.size and min(variant.size) < deepest.smallest_side:
        raise UsageError(
            f"`size={variant.size[1]}x{variant.size[0]}`: the layer {deepest.name} needs "
            f"{deepest.smallest_side} px on each side"
        )
    if variant.precision == "int8":
        backbone = QuantizedBackbone(backbone)
    trunk = backbone.trunk(layers)
    if variant.precision == "float16":
        trunk = trunk.half()
    model = network_model(trunk, backbone, layers, variant)
    sizes = None if variant.size is None else (variant.size,)
    distances = check_model(model, trunk, deepest, sizes)
    return ExportedNetwork(model, distances)


def network_model(
    trunk: Trunk, backbone: Backbone, layers: Sequence[str], variant: Variant
) -> onnx.ModelProto:
    """Return the model of a trunk in a variant, with its card, not yet checked."""
    model = export_trunk(trunk, backbone, layers)
    if variant.size is not None:
        model = with_size(model, variant.size)
    if variant.precision == "int8":
        model = with_int8_weights(model, quantizable_weights(trunk))
    if variant.opset is not None:
        model = with_opset(model, variant.opset)
    add_to_card(model, backbone_card(backbone, model, variant.precision))
    return model
