"""Presets: named starting values of a job, each of which can be overridden."""

from __future__ import annotations

import copy
from types import MappingProxyType
from typing import Any

from ..errors import UsageError, did_you_mean

#: The source's own settings (Gatys, Ecker and Bethge 2015), exactly.
PAPER: dict[str, Any] = {
    "scales": 1,
    "iterations": 500,
    "backbone": {"name": "vgg19", "pooling": "average"},
    "init": "content+noise",
    "optimizer": {"name": "lbfgs"},
    "terms": [
        {
            "name": "content",
            "weight": 1.0,
            "layers": {"relu4_2": 1.0},
            "normalization": "paper",
        },
        {
            "name": "style",
            "weight": 1000.0,
            "layers": dict.fromkeys(["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"], 0.2),
            "normalization": "paper",
        },
    ],
}

#: The best-looking result for the time.
BALANCED: dict[str, Any] = {
    "scales": "auto",
    "iterations": 300,
    "backbone": {"name": "vgg19", "pooling": "max"},
    "init": "content+noise",
    "optimizer": {"name": "lbfgs"},
    "terms": [
        {"name": "content", "weight": 1.0, "normalization": "relative"},
        {"name": "style", "weight": 30.0, "normalization": "relative"},
        {"name": "tv", "weight": 10.0, "power": 2, "reduction": "mean"},
    ],
}

#: A first impression within seconds.
DRAFT: dict[str, Any] = BALANCED | {"size": 256, "iterations": 70}

#: Name in a job -> values; read by `preset_table`.
PRESETS = MappingProxyType({"balanced": BALANCED, "draft": DRAFT, "paper": PAPER})
DEFAULT_PRESET = "balanced"

#: Terms of the presets that compare with the content image.
_READ_CONTENT = frozenset({"content"})


def preset_table(name: object, texture: bool = False) -> dict[str, Any]:
    """Return a copy of the preset's values, in the form of a job file's.

    If `texture`, they are those for a result without a content image. Raises UsageError for an
    unknown name.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}; {did_you_mean(str(name), PRESETS)}")
    table = copy.deepcopy(PRESETS[name])
    if texture:
        terms = [term for term in table["terms"] if term["name"] not in _READ_CONTENT]
        table |= {"init": "style", "terms": terms}
    return table
