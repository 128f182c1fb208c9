"""Public interface of stylectl, which paints a photograph in the style of a painting.

It has all that users and plugin authors import. Each name is imported at its first use, so that
`import stylectl` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.errors import (
        BackendError,
        OutputError,
        PluginError,
        StylectlError,
        UsageError,
        WeightsError,
    )
    from .core.interfaces.backbone import Backbone, LayerInfo
    from .core.interfaces.backend import BackendOptions, FeatureBackend, Features, Pullback
    from .core.interfaces.contract import check_image, check_layers, checked_pullback
    from .core.interfaces.cotangents import LazyCotangents
    from .core.interfaces.events import (
        Event,
        Notice,
        RunFinished,
        RunStarted,
        ScaleStarted,
        StepDone,
    )
    from .core.interfaces.optimizer import (
        Evaluate,
        Evaluation,
        Initializer,
        Iterate,
        Minimization,
        Optimizer,
        OptimizerState,
        StartingPoint,
    )
    from .core.interfaces.result import Result, Snapshot, StepRecord
    from .core.interfaces.specs import (
        BackboneSpec,
        BackendSpec,
        InitializerSpec,
        LossTermSpec,
        NoOptions,
        OptimizerSpec,
        WriterSpec,
    )
    from .core.interfaces.terms import (
        IMAGE_LAYER,
        Loss,
        LossTerm,
        References,
        Region,
        Style,
        Sums,
        SumTerm,
    )
    from .core.interfaces.trunk import ChainTrunk, Trunk
    from .core.interfaces.writer import Writer
    from .core.job.model import Job
    from .core.job.presets import PRESETS
    from .plugins.hookspecs import hookimpl
    from .tools.api.batch import batch
    from .tools.api.run import run
    from .tools.api.sweep import sweep
    from .tools.queue.events import (
        QueueFinished,
        QueueStarted,
        Report,
        Task,
        TaskDone,
        TaskFailed,
        TaskStarted,
    )

    __version__: str

_HOMES = {
    ".core.errors": (
        "BackendError",
        "OutputError",
        "PluginError",
        "StylectlError",
        "UsageError",
        "WeightsError",
    ),
    ".core.interfaces.backbone": ("Backbone", "LayerInfo"),
    ".core.interfaces.backend": ("BackendOptions", "FeatureBackend", "Features", "Pullback"),
    ".core.interfaces.contract": ("check_image", "check_layers", "checked_pullback"),
    ".core.interfaces.cotangents": ("LazyCotangents",),
    ".core.interfaces.events": (
        "Event",
        "Notice",
        "RunFinished",
        "RunStarted",
        "ScaleStarted",
        "StepDone",
    ),
    ".core.interfaces.optimizer": (
        "Evaluate",
        "Evaluation",
        "Initializer",
        "Iterate",
        "Minimization",
        "Optimizer",
        "OptimizerState",
        "StartingPoint",
    ),
    ".core.interfaces.result": ("Result", "Snapshot", "StepRecord"),
    ".core.interfaces.specs": (
        "BackboneSpec",
        "BackendSpec",
        "InitializerSpec",
        "LossTermSpec",
        "NoOptions",
        "OptimizerSpec",
        "WriterSpec",
    ),
    ".core.interfaces.terms": (
        "IMAGE_LAYER",
        "Loss",
        "LossTerm",
        "References",
        "Region",
        "Style",
        "SumTerm",
        "Sums",
    ),
    ".core.interfaces.trunk": ("ChainTrunk", "Trunk"),
    ".core.interfaces.writer": ("Writer",),
    ".core.job.model": ("Job",),
    ".core.job.presets": ("PRESETS",),
    ".plugins.hookspecs": ("hookimpl",),
    ".tools.api.batch": ("batch",),
    ".tools.api.run": ("run",),
    ".tools.api.sweep": ("sweep",),
    ".tools.queue.events": (
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
    "PRESETS",
    "Backbone",
    "BackboneSpec",
    "BackendError",
    "BackendOptions",
    "BackendSpec",
    "ChainTrunk",
    "Evaluate",
    "Evaluation",
    "Event",
    "FeatureBackend",
    "Features",
    "Initializer",
    "InitializerSpec",
    "Iterate",
    "Job",
    "LayerInfo",
    "LazyCotangents",
    "Loss",
    "LossTerm",
    "LossTermSpec",
    "Minimization",
    "NoOptions",
    "Notice",
    "Optimizer",
    "OptimizerSpec",
    "OptimizerState",
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
    "StartingPoint",
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
    "__version__",
    "batch",
    "check_image",
    "check_layers",
    "checked_pullback",
    "hookimpl",
    "run",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("stylectl")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
