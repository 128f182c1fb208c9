"""The built-in presets."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.interfaces.specs import PresetSpec
from ..core.job.presets import PRESETS
from . import hooks

_SUMMARIES = {
    "balanced": "the best-looking result for the time",
    "draft": "a first impression within seconds: 256 px, 70 steps",
    "nnst": "the style's nearest neighbors: crisp strokes (Kolkin et al. 2022)",
    "paper": "the settings of Gatys, Ecker and Bethge (2015)",
}


@hooks.presets
def presets() -> Iterable[PresetSpec]:
    """Return the presets `balanced`, `draft`, `nnst` and `paper`."""
    for name, table in PRESETS.items():
        yield PresetSpec(name=name, summary=_SUMMARIES[name], table=table)
