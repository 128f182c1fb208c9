"""The built-in presets."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.interfaces.specs import PresetSpec
from ..core.job.presets import PRESETS, built_in_preset
from . import hooks

_SUMMARIES = {
    "balanced": "the best-looking result for the time",
    "balanced-0.1": "the preset balanced of stylectl 0.1",
    "draft": "a first impression within seconds: 256 px, 70 steps",
    "nnst": "the style's nearest neighbors: crisp strokes (Kolkin et al. 2022)",
    "paper": "the settings of Gatys, Ecker and Bethge (2015)",
    "strotss": "optimal transport and self-similarity (Kolkin et al. 2019)",
}


@hooks.presets
def presets() -> Iterable[PresetSpec]:
    """Return the presets `balanced`, `balanced-0.1`, `draft`, `nnst`, `paper` and `strotss`."""
    for name in PRESETS:
        preset = built_in_preset(name)
        yield PresetSpec(
            name=name, summary=_SUMMARIES[name], table=preset.table, texture=preset.texture
        )
