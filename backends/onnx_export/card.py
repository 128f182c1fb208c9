"""The model card: the description of an ONNX file in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

import onnx

from ...core.interfaces.backbone import Backbone

_PREFIX = "stylectl."
_UNKNOWN = "unknown"
#: Key of the hash of a network's weights.
WEIGHTS = "weights_sha256"

#: Description of an image that a model takes.
INPUT = "RGB, sRGB-encoded, in [0, 1], NCHW; the network's preprocessing is inside"


def add_to_card(model: onnx.ModelProto, values: Mapping[str, str]) -> None:
    """Add values to a model's metadata, or replace them; the keys begin with ``stylectl.``."""
    card = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(
        model, card | {_PREFIX + key: value for key, value in values.items()}
    )


def card_of(model: onnx.ModelProto) -> dict[str, str]:
    """Return the values of a model's card, without the beginning of their keys."""
    return {
        entry.key.removeprefix(_PREFIX): entry.value
        for entry in model.metadata_props
        if entry.key.startswith(_PREFIX)
    }


def backbone_card(backbone: Backbone, model: onnx.ModelProto, precision: str) -> dict[str, str]:
    """Return the part of the card that describes the network of a model.

    `export_trunk` has added the network's layers and the hash of its weights.
    """
    return {
        "source": backbone.source or _UNKNOWN,
        "license": backbone.license or _UNKNOWN,
        "input": INPUT,
        "precision": precision,
        "opset": str(opset_of(model)),
        "version": version("stylectl"),
    }


def opset_of(model: onnx.ModelProto) -> int:
    """Return the opset of a model's standard operators."""
    return max(
        int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")
    )
