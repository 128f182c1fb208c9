"""Which layers a backbone takes when nobody chose any."""

from __future__ import annotations

from collections.abc import Iterable

from ...core.interfaces.backbone import LayerInfo

#: Beyond it a position stands for so much of the picture that it says little of where things are.
_LARGEST_STRIDE = 16


def default_layers(stages: Iterable[LayerInfo]) -> tuple[dict[str, float], dict[str, float]]:
    """For content and for style, layer -> share, chosen from the ends of the network's stages.

    Style takes the last of each stride up to 16, as the papers do with VGG; content takes the
    deepest of these. Each share is half the one before it, so that the palette and the brush come
    first, and large motifs, which eat the scene, last.
    """
    stages = list(stages)
    levels = {each.stride: each.name for each in stages if each.stride <= _LARGEST_STRIDE}
    names = list(levels.values()) or [each.name for each in stages[:1]]
    return {names[-1]: 1.0}, halving_shares(names)


def halving_shares(names: Iterable[str]) -> dict[str, float]:
    """Shares that add up to 1, each half the one before it."""
    parts = {name: 0.5**at for at, name in enumerate(names)}
    total = sum(parts.values())
    return {name: part / total for name, part in parts.items()}
