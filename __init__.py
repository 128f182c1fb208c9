"""Public interface of stylectl, which paints a photograph in the style of a painting.

It has all that users and plugin authors import. Each name is imported at its first use, so that
`import stylectl` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.deprecation import StylectlDeprecationWarning
    from .core.errors import (
        BackendError,
        ImageError,
        ListenerError,
        MemoryLimitError,
        NumericalError,
        OutputError,
        PluginError,
        StylectlError,
        UsageError,
        WeightsError,
    )
    from .core.interfaces.backbone import Backbone, LayerInfo
    from .core.interfaces.backend import (
        BackendDevice,
        BackendOptions,
        FeatureBackend,
        Features,
        LazyCotangents,
        Pullback,
    )
    from .core.interfaces.contract import check_image, check_layers, checked_pullback
    from .core.interfaces.events import (
        Event,
        Notice,
        RunFinished,
        RunStarted,
        ScaleSettled,
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
        Parametrization,
        StartingPoint,
    )
    from .core.interfaces.result import Result, Snapshot, StepRecord
    from .core.interfaces.source_image import Metadata, SourceImage
    from .core.interfaces.specs import (
        BackboneArguments,
        BackboneSpec,
        BackendArguments,
        BackendSpec,
        FlowArguments,
        FlowSpec,
        InitializerSpec,
        LossTermArguments,
        LossTermSpec,
        NoOptions,
        OptimizerSpec,
        ParametrizationSpec,
        PresetSpec,
        WriterArguments,
        WriterSpec,
    )
    from .core.interfaces.statistics import (
        FeatureTile,
        LayerStatistics,
        Statistics,
        StatisticsTerm,
        StyleTarget,
    )
    from .core.interfaces.terms import (
        IMAGE_LAYER,
        ChangingLoss,
        Loss,
        LossGraph,
        LossTerm,
        Operand,
        References,
        Region,
        Renewal,
        Style,
    )
    from .core.interfaces.trunk import ChainTrunk, Trunk
    from .core.interfaces.video.flow import FlowEstimator, FlowFrame
    from .core.interfaces.video.former import FormerResult
    from .core.interfaces.writer import Writer, WriteRequest
    from .core.job.model import Job
    from .core.job.paths import JobPath
    from .core.job.presets import PRESETS
    from .core.job.video import VideoSettings
    from .core.sizes.pyramid import Scale
    from .plugins import hooks
    from .plugins.former import Sums, SumTerm  # noqa: F401 - deprecated
    from .plugins.hookspecs import API_VERSION, hookimpl
    from .tools.api.batch import batch
    from .tools.api.judge import judge
    from .tools.api.run import run
    from .tools.api.sweep import sweep
    from .tools.api.video import video
    from .tools.judge.judging import Judgement, Score
    from .tools.queue.events import (
        QueueFinished,
        QueueStarted,
        Report,
        Task,
        TaskDone,
        TaskFailed,
        TaskStarted,
    )
    from .tools.video.events import (
        FrameDone,
        FrameStarted,
        StageProgress,
        VideoEvent,
        VideoFinished,
        VideoStarted,
    )
    from .tools.video.making import Video

    #: Version of the installed package.
    __version__: str

#: Module -> the public names in it, separated by spaces.
_HOMES = {
    ".core.deprecation": "StylectlDeprecationWarning",
    ".core.errors": (
        "BackendError ImageError ListenerError MemoryLimitError NumericalError OutputError "
        "PluginError StylectlError UsageError WeightsError"
    ),
    ".core.interfaces.backbone": "Backbone LayerInfo",
    ".core.interfaces.backend": (
        "BackendDevice BackendOptions FeatureBackend Features LazyCotangents Pullback"
    ),
    ".core.interfaces.contract": "check_image check_layers checked_pullback",
    ".core.interfaces.events": (
        "Event Notice RunFinished RunStarted ScaleSettled ScaleStarted StepDone"
    ),
    ".core.interfaces.optimizer": (
        "Evaluate Evaluation Initializer Iterate Minimization Optimizer OptimizerState "
        "Parametrization StartingPoint"
    ),
    ".core.interfaces.result": "Result Snapshot StepRecord",
    ".core.interfaces.source_image": "Metadata SourceImage",
    ".core.interfaces.specs": (
        "BackboneArguments BackboneSpec BackendArguments BackendSpec FlowArguments FlowSpec "
        "InitializerSpec LossTermArguments LossTermSpec NoOptions OptimizerSpec "
        "ParametrizationSpec PresetSpec WriterArguments WriterSpec"
    ),
    ".core.interfaces.statistics": (
        "FeatureTile LayerStatistics Statistics StatisticsTerm StyleTarget"
    ),
    ".core.interfaces.terms": (
        "ChangingLoss IMAGE_LAYER Loss LossGraph LossTerm Operand References Region Renewal Style"
    ),
    ".core.interfaces.trunk": "ChainTrunk Trunk",
    ".core.interfaces.video.flow": "FlowEstimator FlowFrame",
    ".core.interfaces.video.former": "FormerResult",
    ".core.interfaces.writer": "WriteRequest Writer",
    ".core.job.model": "Job",
    ".core.job.paths": "JobPath",
    ".core.job.presets": "PRESETS",
    ".core.job.video": "VideoSettings",
    ".core.sizes.pyramid": "Scale",
    ".plugins.former": "SumTerm Sums",
    ".plugins.hookspecs": "API_VERSION hookimpl",
    ".tools.api.batch": "batch",
    ".tools.api.judge": "judge",
    ".tools.api.run": "run",
    ".tools.api.sweep": "sweep",
    ".tools.api.video": "video",
    ".tools.judge.judging": "Judgement Score",
    ".tools.queue.events": "QueueFinished QueueStarted Report Task TaskDone TaskFailed TaskStarted",
    ".tools.video.events": (
        "FrameDone FrameStarted StageProgress VideoEvent VideoFinished VideoStarted"
    ),
    ".tools.video.making": "Video",
}

__all__ = [
    "API_VERSION",
    "IMAGE_LAYER",
    "PRESETS",
    "Backbone",
    "BackboneArguments",
    "BackboneSpec",
    "BackendArguments",
    "BackendDevice",
    "BackendError",
    "BackendOptions",
    "BackendSpec",
    "ChainTrunk",
    "ChangingLoss",
    "Evaluate",
    "Evaluation",
    "Event",
    "FeatureBackend",
    "FeatureTile",
    "Features",
    "FlowArguments",
    "FlowEstimator",
    "FlowFrame",
    "FlowSpec",
    "FormerResult",
    "FrameDone",
    "FrameStarted",
    "ImageError",
    "Initializer",
    "InitializerSpec",
    "Iterate",
    "Job",
    "JobPath",
    "Judgement",
    "LayerInfo",
    "LayerStatistics",
    "LazyCotangents",
    "ListenerError",
    "Loss",
    "LossGraph",
    "LossTerm",
    "LossTermArguments",
    "LossTermSpec",
    "MemoryLimitError",
    "Metadata",
    "Minimization",
    "NoOptions",
    "Notice",
    "NumericalError",
    "Operand",
    "Optimizer",
    "OptimizerSpec",
    "OptimizerState",
    "OutputError",
    "Parametrization",
    "ParametrizationSpec",
    "PluginError",
    "PresetSpec",
    "Pullback",
    "QueueFinished",
    "QueueStarted",
    "References",
    "Region",
    "Renewal",
    "Report",
    "Result",
    "RunFinished",
    "RunStarted",
    "Scale",
    "ScaleSettled",
    "ScaleStarted",
    "Score",
    "Snapshot",
    "SourceImage",
    "StageProgress",
    "StartingPoint",
    "Statistics",
    "StatisticsTerm",
    "StepDone",
    "StepRecord",
    "Style",
    "StyleTarget",
    "StylectlDeprecationWarning",
    "StylectlError",
    "Task",
    "TaskDone",
    "TaskFailed",
    "TaskStarted",
    "Trunk",
    "UsageError",
    "Video",
    "VideoEvent",
    "VideoFinished",
    "VideoSettings",
    "VideoStarted",
    "WeightsError",
    "WriteRequest",
    "Writer",
    "WriterArguments",
    "WriterSpec",
    "__version__",
    "batch",
    "check_image",
    "check_layers",
    "checked_pullback",
    "hookimpl",
    "hooks",
    "judge",
    "run",
    "sweep",
    "video",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("stylectl")
    if name == "hooks":
        return import_module(".plugins.hooks", __name__)
    for home, names in _HOMES.items():
        if name in names.split():
            return getattr(import_module(home, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
