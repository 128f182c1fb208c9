"""The result of a run, and the records of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..job.model import Job
from ..job.paths import OptionModels
from ..sizes.pyramid import Scale
from .source_image import SourceImage

#: Version of the record's format, in files and in ``--json``; see core/outputs/record.py.
RECORD_FORMAT = 3


@dataclass(frozen=True)
class StepRecord:
    """Weighted losses of the terms at one optimizer step, `seconds` after the run started."""

    scale: int
    step: int
    losses: Mapping[str, float]
    seconds: float

    @property
    def loss(self) -> float:
        """Value of the objective: the sum of `losses`."""
        return sum(self.losses.values())


@dataclass(frozen=True)
class Snapshot:
    """The result after a step, at the size of that step's scale.

    `image` is (H, W, 3), uint8, RGB, sRGB-encoded; `seconds` is the time since the run started.
    """

    scale: int
    step: int
    seconds: float
    image: np.ndarray


@dataclass(frozen=True)
class Result:
    """The result of a run: an image, and how it was made.

    - `image`: (H, W, 3), float32, RGB, sRGB-encoded in [0, 1].
    - `alpha`: (H, W), float32 in [0, 1], kept from the content image, or None.
    - `content`, `styles`: the images that it was made from, each style image with its weight; a
      texture has no content image.
    - `steps`: one record for each evaluated image, each scale's starting point included. Losses
      of different scales cannot be compared.
    - `seconds`: from the start of the run to the finished result; `step_seconds` is the median
      time of a step at the last scale.
    - `inputs`: SHA-256 of each file that the job names, by its path in the job: of images, and of
      files that options name, such as a network's weights.
    - `details`: how the backend ran, beside the device: `FeatureBackend.details`, and `tiles`, if
      the result was computed in tiles.
    - `stopped_by`: the exception that ended the run early, or None: KeyboardInterrupt (with the
      name of a signal as its message), or an error after the first step.
    - `scales`: the schedule, also of a run that ended early.
    - `option_models`: the models of the options of the job's choices, which mark paths of files.
    """

    image: np.ndarray
    alpha: np.ndarray | None
    content: SourceImage | None
    styles: tuple[tuple[SourceImage, float], ...]
    job: Job
    scales: tuple[Scale, ...]
    steps: tuple[StepRecord, ...]
    inputs: Mapping[str, str]
    versions: Mapping[str, str]
    backend: str
    device: str
    details: Mapping[str, str]
    seconds: float
    stopped_by: BaseException | None = None
    option_models: OptionModels = field(default_factory=dict)

    @property
    def interrupted(self) -> bool:
        """True if the run ended before its last step."""
        return self.stopped_by is not None

    @property
    def stop_reason(self) -> str | None:
        """Reason for an early end of the run, in words; None if it did not end early."""
        if self.stopped_by is None:
            return None
        if isinstance(self.stopped_by, KeyboardInterrupt):
            return str(self.stopped_by) or "Ctrl-C"
        return f"{type(self.stopped_by).__name__}: {self.stopped_by}"

    @property
    def iterations(self) -> int:
        """Number of optimizer steps made, over all scales."""
        return sum(record.step > 0 for record in self.steps)

    @property
    def settled(self) -> Mapping[int, int]:
        """Number of steps at each scale that ended early since its loss did not change any more.

        See `Job.least_change`.
        """
        reached = {record.scale: record.step for record in self.steps}
        if self.interrupted:
            reached.popitem()
        return {
            scale: steps for scale, steps in reached.items() if steps < self.scales[scale].steps
        }

    @property
    def initial_losses(self) -> Mapping[str, float]:
        """Weighted losses by term at the very start of the run (the coarsest scale)."""
        return self.steps[0].losses

    @property
    def final_losses(self) -> Mapping[str, float]:
        """Weighted losses by term at the last step, before the image is clipped to [0, 1].

        For an averaging optimizer they belong to its last iterate.
        """
        return self.steps[-1].losses

    @property
    def step_seconds(self) -> float:
        """Median seconds of a step at the last scale; 0 when no step was made there."""
        last = [record.seconds for record in self.steps if record.scale == self.steps[-1].scale]
        return float(np.median(np.diff(last))) if len(last) > 1 else 0.0

    def summary(self) -> dict[str, object]:
        """Return the run's numbers, ready for JSON."""
        height, width = self.image.shape[:2]
        return {
            "format": RECORD_FORMAT,
            "size": [width, height],
            "iterations": self.iterations,
            "initial_loss": dict(self.initial_losses),
            "final_loss": dict(self.final_losses),
            "seconds": round(self.seconds, 3),
            "seconds_per_iteration": round(self.step_seconds, 4),
            "backend": self.backend,
            "device": self.device,
            "details": dict(self.details),
            "interrupted": self.interrupted,
            **({"settled_after": list(self.settled.values())} if self.settled else {}),
            "versions": dict(self.versions),
            "inputs": dict(self.inputs),
        }
