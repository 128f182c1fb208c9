"""stylectl: paint a photograph in the style of a painting.

The public face: what users and plugin authors import. Everything is imported at first use, so that
`import stylectl` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.backbone import Backbone, LayerInfo, Trunk
    from .core.backend import BackendOptions, FeatureBackend, Features, Pullback
    from .core.chain import ChainTrunk
    from .core.contract import check_image, check_layers, checked_pullback
    from .core.errors import (
        BackendError,
        OutputError,
        PluginError,
        StylectlError,
        UsageError,
        WeightsError,
    )
    from .core.events import Event, Notice, RunFinished, RunStarted, ScaleStarted, StepDone
    from .core.job import Job
    from .core.result import Result, Snapshot, StepRecord
    from .core.specs import (
        BackboneSpec,
        BackendSpec,
        LossTermSpec,
        NoOptions,
        Writer,
        WriterSpec,
    )
    from .core.terms import IMAGE_LAYER, Loss, LossTerm, References, Region, Style, Sums, SumTerm
    from .plugins.hookspecs import hookimpl
    from .tools.api import run
    from .tools.many import batch, sweep
    from .tools.queue_events import (
        QueueFinished,
        QueueStarted,
        Report,
        Task,
        TaskDone,
        TaskFailed,
        TaskStarted,
    )

_HOMES = {
    ".core.backbone": ("Backbone", "LayerInfo", "Trunk"),
    ".core.backend": ("BackendOptions", "FeatureBackend", "Features", "Pullback"),
    ".core.chain": ("ChainTrunk",),
    ".core.contract": ("check_image", "check_layers", "checked_pullback"),
    ".core.errors": (
        "BackendError",
        "OutputError",
        "PluginError",
        "StylectlError",
        "UsageError",
        "WeightsError",
    ),
    ".core.events": ("Event", "Notice", "RunFinished", "RunStarted", "ScaleStarted", "StepDone"),
    ".core.job": ("Job",),
    ".core.result": ("Result", "Snapshot", "StepRecord"),
    ".core.specs": (
        "BackboneSpec",
        "BackendSpec",
        "LossTermSpec",
        "NoOptions",
        "Writer",
        "WriterSpec",
    ),
    ".core.terms": (
        "IMAGE_LAYER",
        "Loss",
        "LossTerm",
        "References",
        "Region",
        "Style",
        "SumTerm",
        "Sums",
    ),
    ".plugins.hookspecs": ("hookimpl",),
    ".tools.api": ("run",),
    ".tools.many": ("batch", "sweep"),
    ".tools.queue_events": (
        "QueueFinished",
        "QueueStarted",
        "Report",
        "Task",
        "TaskDone",
        "TaskFailed",
        "TaskStarted",
    ),
}

__all__ = [
    "IMAGE_LAYER",
    "Backbone",
    "BackboneSpec",
    "BackendError",
    "BackendOptions",
    "BackendSpec",
    "ChainTrunk",
    "Event",
    "FeatureBackend",
    "Features",
    "Job",
    "LayerInfo",
    "Loss",
    "LossTerm",
    "LossTermSpec",
    "NoOptions",
    "Notice",
    "OutputError",
    "PluginError",
    "Pullback",
    "QueueFinished",
    "QueueStarted",
    "References",
    "Region",
    "Report",
    "Result",
    "RunFinished",
    "RunStarted",
    "ScaleStarted",
    "Snapshot",
    "StepDone",
    "StepRecord",
    "Style",
    "StylectlError",
    "SumTerm",
    "Sums",
    "Task",
    "TaskDone",
    "TaskFailed",
    "TaskStarted",
    "Trunk",
    "UsageError",
    "WeightsError",
    "Writer",
    "WriterSpec",
    "batch",
    "check_image",
    "check_layers",
    "checked_pullback",
    "hookimpl",
    "run",
    "sweep",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
