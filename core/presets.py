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
        {"name": "content", "weight": 1.0, "layers": {"relu4_2": 1.0}, "reduction": "sum"},
        {
            "name": "style",
            "weight": 1000.0,
            "layers": dict.fromkeys(
                ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"],
                0.2,
            ),
        },
    ],
}

#: The best-looking picture for the time.
BALANCED: dict[str, Any] = {
    "scales": 4,
    "iterations": 200,
    "backbone": {"name": "vgg19", "pooling": "max"},
    "init": "content+noise",
    "optimizer": {"name": "lbfgs"},
    "terms": [
        {"name": "content", "weight": 1000.0, "reduction": "mean"},
        {"name": "style", "weight": 1.0},
        {"name": "tv", "weight": 0.0},
    ],
}

#: Seconds to a first impression.
DRAFT: dict[str, Any] = BALANCED | {"size": 192, "scales": 2, "iterations": 60}

PRESETS: dict[str, dict[str, Any]] = {"balanced": BALANCED, "draft": DRAFT, "paper": PAPER}
DEFAULT_PRESET = "balanced"
