"""The feature maps of an ONNX model as JSON values, as they are kept in the cache."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from typing import Any

from ....core.interfaces.backbone import LayerInfo
from .graph import OnnxMaps
from .inputs import ImageInput


def maps_to_json(maps: OnnxMaps) -> dict[str, Any]:
    """Return the JSON form of feature maps; fractions are text, such as 1/2."""
    return {
        "image": asdict(maps.image),
        "layers": [
            {**asdict(info), "exact_stride": info.exact_stride and str(info.exact_stride)}
            for info in maps.layers
        ],
        "stages": [info.name for info in maps.stages],
        "channels_last": list(maps.channels_last),
        "unusable": dict(maps.unusable),
        "shapes": {name: [element, dims] for name, (element, dims) in maps.shapes.items()},
    }


def maps_of_json(values: Any) -> OnnxMaps:
    """Return the feature maps of a JSON form. Raises ValueError, KeyError and TypeError."""
    layers = tuple(
        LayerInfo(**{**info, "exact_stride": _fraction(info["exact_stride"])})
        for info in values["layers"]
    )
    named = {info.name: info for info in layers}
    image = values["image"]
    fixed = tuple(image["fixed"]) if image["fixed"] else None
    return OnnxMaps(
        image=ImageInput(**{**image, "fixed": fixed}),
        layers=layers,
        stages=tuple(named[name] for name in values["stages"]),
        channels_last=tuple(values["channels_last"]),
        unusable=dict(values["unusable"]),
        shapes={
            name: (int(element), tuple(dims)) for name, (element, dims) in values["shapes"].items()
        },
    )


def _fraction(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)
