"""Runs of one fixed objective, with their curves, which `time_to_quality.py` compares.

With F, P and A the activations of VGG-19 (the embedded weights, maximum pooling) of the result, the
content and the style, C and M a layer's channels and positions, and pixels x in 0-255:

    5 mean (F - P)^2 at relu4_2
    + 100 sum_l mean (F F^T / (C M) - A A^T / (C M'))^2 at relu1_1, relu2_1, ... relu5_1
    + 0.001 sum (|x right - x| + |x below - x|)
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from ...core.errors import UsageError
from ..bench.plain_terms import plain_terms

if TYPE_CHECKING:
    from ...core.interfaces.events import Event
    from ...core.job.model import Job

_OBJECTIVE: dict[str, Any] = {
    "terms": plain_terms(content=5.0, style=100.0, differences=0.001),
    "motifs": 1,
    "backbone": {"name": "vgg19", "weights": "embedded", "pooling": "max", "padding": "zeros"},
}

#: Plain L-BFGS, spelled out: defaults may change, the reference should not.
_REFERENCE: dict[str, Any] = {
    "scales": 1,
    "precision": "float32",
    "init": "content",
    "optimizer": "lbfgs",
    "optimizer.history": 10,
    "optimizer.line_search": "armijo",
    "optimizer.scaling": "scalar",
}

#: Keys of a job on which the objective of the last scale depends.
_OBJECTIVE_KEYS = (
    *("content", "styles", "size", "upscale", "preview", "seamless", "color", "content_mask"),
    *("regions", "strength", "motifs", "backbone", "terms"),
)


class Point(BaseModel):
    """Step of a run.

    It has the number of its scale, the step within it (0 is its starting point), the seconds since
    the start of the run, and the objective's value at that scale.
    """

    model_config = ConfigDict(frozen=True)

    scale: int
    step: int
    seconds: float
    value: float


class MeasuredRun(BaseModel):
    """Run with its whole curve.

    `scales` has each scale's width, height and steps; `inputs` the images' SHA-256. The run started
    `seconds_to_run` after the images were read; its backend was opened in between.
    """

    model_config = ConfigDict(frozen=True)

    scales: tuple[tuple[int, int, int], ...] = Field(min_length=1)
    threads: int
    backend: str
    device: str
    inputs: tuple[str, ...]
    versions: dict[str, str]
    job: dict[str, Any]
    seconds_to_run: float
    curve: tuple[Point, ...] = Field(min_length=1)

    @property
    def size(self) -> tuple[int, int]:
        """Size of the result: (width, height)."""
        return self.scales[-1][:2]

    @property
    def at_last_scale(self) -> tuple[Point, ...]:
        """Part of the curve whose values are those of the objective."""
        return tuple(point for point in self.curve if point.scale == len(self.scales) - 1)

    @property
    def best(self) -> Point:
        """First of the points with the lowest value at the last scale."""
        return min(self.at_last_scale, key=lambda point: point.value)

    def reaching(self, value: float) -> Point | None:
        """Return the first point at the last scale that is as low as `value`, if there is one."""
        return next((point for point in self.at_last_scale if point.value <= value), None)


def reference_job(images: Mapping[str, Any], iterations: int) -> Job:
    """Return the job of plain L-BFGS at one scale, from the content image.

    `images` are the options that name the images and the size. Raises UsageError.
    """
    from ...core.job.building import build_job

    return build_job({**images, **_REFERENCE, "iterations": iterations}, _OBJECTIVE)


def own_job(images: Mapping[str, Any], settings: Mapping[str, Any]) -> Job:
    """Return the job of the objective with stylectl's own schedule, changed by `settings`.

    Raises UsageError for bad settings and for those that change the objective.
    """
    from ...core.job.building import build_job

    preset = settings.get("preset")
    options = {name: value for name, value in settings.items() if name != "preset"}
    job = build_job({**images, "precision": "float32", **options}, _OBJECTIVE, preset)
    plain = build_job(images, _OBJECTIVE)
    for key in _OBJECTIVE_KEYS:
        if getattr(job, key) != getattr(plain, key):
            raise UsageError(f"--set changes {key}, on which the objective depends")
    return job


def measured(job: Job) -> MeasuredRun:
    """Run a job in this process and return its measurements.

    Raises StylectlError and its subclasses, and the error that ended the run early.
    """
    import torch

    from ...core.interfaces.events import StepDone
    from ...core.planning.planner import make_plan
    from ...core.run.preparation import prepare
    from ...core.run.runner import run
    from ...plugins.manager import load_plugins

    prepared = prepare(make_plan(job, load_plugins().registry))
    images_read = time.perf_counter()
    seconds_to_run: list[float] = []
    curve: list[Point] = []

    def listener(event: Event) -> None:
        if isinstance(event, StepDone):
            if not seconds_to_run:
                seconds_to_run.append(time.perf_counter() - images_read - event.seconds)
            curve.append(
                Point(
                    scale=event.scale,
                    step=event.step,
                    seconds=round(event.seconds, 4),
                    value=event.loss,
                )
            )

    result = run(prepared, listener)
    if result.stopped_by:
        raise result.stopped_by
    return MeasuredRun(
        scales=tuple((scale.width, scale.height, scale.steps) for scale in result.scales),
        threads=torch.get_num_threads(),
        backend=result.backend,
        device=result.device,
        inputs=tuple(result.inputs.values()),
        versions=dict(result.versions),
        job=prepared.plan.job.as_table(),
        seconds_to_run=round(seconds_to_run[0], 4),
        curve=tuple(curve),
    )


def read_reference(path: Path) -> MeasuredRun:
    """Read the reference from the output of `time_to_quality --json`.

    Raises UsageError for another file.
    """
    try:
        return MeasuredRun.model_validate(json.loads(path.read_bytes())["reference"])
    except OSError as error:
        raise UsageError(f"--reference {path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):  # also what pydantic raises
        raise UsageError(f"--reference {path}: is not what --json writes") from None
