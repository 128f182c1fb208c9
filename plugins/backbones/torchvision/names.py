"""Names of the layers of torchvision's models, and the default layers of some models."""

from __future__ import annotations

from collections.abc import Iterator

from ..vgg19 import VGG19
from .traced import TracedModel, is_activation

#: Shares of the default style layers; see VGG19.default_style_layers.
_WEIGHTS = tuple(VGG19.default_style_layers.values())


def own_defaults(model: str) -> tuple[dict[str, float], dict[str, float]] | None:
    """Default layers for content and for style, layer -> weight, of VGG and AlexNet; else None."""
    if model.startswith("vgg"):
        return {"relu4_2": 1.0}, {
            f"relu{n}_1": weight for n, weight in enumerate(_WEIGHTS, start=1)
        }
    if model == "alexnet":
        # Its last three have the same stride; the first of them localizes best.
        return {"relu3": 1.0}, {f"relu{n}": weight for n, weight in enumerate(_WEIGHTS, start=1)}
    return None


def own_names(model: str, network: TracedModel) -> dict[str, str]:
    """Map layers to torchvision's paths, in order of depth.

    VGG and AlexNet, sequences without blocks, have only their rectifiers as layers, with the
    papers' names; the layers of all other models are called by torchvision's paths.
    """
    if model.startswith("vgg") or model == "alexnet":
        rectifiers = [
            path
            for path, feature_map in network.maps.items()
            if is_activation(feature_map.node, network.root)
        ]
        return dict(zip(_papers_names(model, network, rectifiers), rectifiers, strict=True))
    return {path: path for path in network.maps}


def _papers_names(model: str, network: TracedModel, paths: list[str]) -> Iterator[str]:
    block = number = stride = 0
    for path in paths:
        if model == "alexnet":
            number += 1
            yield f"relu{number}"
            continue
        layer_stride = network.maps[path].geometry.stride
        block, number = (block, number + 1) if layer_stride == stride else (block + 1, 1)
        stride = layer_stride
        yield f"relu{block}_{number}"
