"""Presets: named starting values for a job. Everything in them can be overridden."""

from __future__ import annotations

from typing import Any

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

#: The best-looking picture for the time.
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

#: Seconds to a first impression.
DRAFT: dict[str, Any] = BALANCED | {"size": 256, "iterations": 70}

PRESETS: dict[str, dict[str, Any]] = {"balanced": BALANCED, "draft": DRAFT, "paper": PAPER}
DEFAULT_PRESET = "balanced"

#: The presets' terms that compare with the content image.
_READ_CONTENT = frozenset({"content"})


def for_texture(preset: dict[str, Any]) -> dict[str, Any]:
    """A preset for a picture that has no content image."""
    terms = [term for term in preset["terms"] if term["name"] not in _READ_CONTENT]
    return {**preset, "init": "style", "terms": terms}
