"""Default layers of a backbone, for content and for style."""

from __future__ import annotations

from collections.abc import Iterable

from ...core.interfaces.backbone import LayerInfo

#: Beyond it a position covers so much of the image that it carries little spatial information.
_LARGEST_STRIDE = 16


def default_layers(stages: Iterable[LayerInfo]) -> tuple[dict[str, float], dict[str, float]]:
    """Choose layers for content and style, layer -> weight, from the ends of a network's stages.

    Style takes the last of each stride up to 16, as the papers do with VGG; content takes the
    deepest of these. Each weight is half the one before it, so that colors and brush strokes count
    most, and large motifs, which would replace those of the content, least.
    """
    stages = list(stages)
    last_of_stride = {
        info.stride: info.name
        for info in stages
        if info.stride <= _LARGEST_STRIDE and info.exact_stride is None
    }
    names = list(last_of_stride.values()) or [info.name for info in stages[:1]]
    return {names[-1]: 1.0}, halving_shares(names)


def halving_shares(names: Iterable[str]) -> dict[str, float]:
    """Compute weights that add up to 1, each half the one before it."""
    powers = {name: 0.5**index for index, name in enumerate(names)}
    total = sum(powers.values())
    return {name: power / total for name, power in powers.items()}
