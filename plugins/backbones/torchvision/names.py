"""What the layers of torchvision's models are called here, and which are the default of some."""

from __future__ import annotations

from collections.abc import Iterator

from ..vgg19 import VGG19
from .traced import TracedModel, is_activation

#: As of VGG-19: see there.
_SHARES = tuple(VGG19.default_style_layers.values())


def own_defaults(model: str) -> tuple[dict[str, float], dict[str, float]] | None:
    """For content and for style, layer -> share, of the models that have a choice of their own."""
    if model.startswith("vgg"):
        return {"relu4_2": 1.0}, {f"relu{at}_1": share for at, share in enumerate(_SHARES, start=1)}
    if model == "alexnet":
        # Its last three have the same stride; the first of them knows best where things are.
        return {"relu3": 1.0}, {f"relu{at}": share for at, share in enumerate(_SHARES, start=1)}
    return None


def own_names(model: str, network: TracedModel) -> dict[str, str]:
    """Layer -> torchvision's path, in order of depth.

    VGG and AlexNet, sequences without blocks, have their rectifiers alone, under the papers' names;
    all others go by torchvision's paths.
    """
    if model.startswith("vgg") or model == "alexnet":
        rectifiers = [
            path for path, each in network.maps.items() if is_activation(each.node, network.root)
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
        own = network.maps[path].geometry.stride
        block, number = (block, number + 1) if own == stride else (block + 1, 1)
        stride = own
        yield f"relu{block}_{number}"
