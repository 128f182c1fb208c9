"""What a run gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .job import Job


@dataclass(frozen=True)
class StepRecord:
    """One optimizer step: the terms' weighted losses; `seconds` since the run started."""

    scale: int
    step: int
    losses: Mapping[str, float]
    seconds: float

    @property
    def loss(self) -> float:
        """The objective: the terms' sum."""
        return sum(self.losses.values())


@dataclass(frozen=True)
class Result:
    """A picture and how it came about.

    - `image`: (H, W, 3), float32, RGB, sRGB-encoded in [0, 1].
    - `alpha`: (H, W), float32 in [0, 1], kept from the content image, or None.
    - `steps`: one record for each evaluated picture, each scale's starting point included. Losses
      of different scales cannot be compared.
    - `inputs`: SHA-256 of each image file, by the path in the job.
    - `seconds`: from the start of the run to the finished picture; `step_seconds` is the median
      time of a step at the last scale.
    """

    image: np.ndarray
    alpha: np.ndarray | None
    job: Job
    steps: tuple[StepRecord, ...]
    inputs: Mapping[str, str]
    versions: Mapping[str, str]
    backend: str
    device: str
    seconds: float
    interrupted: bool

    @property
    def iterations(self) -> int:
        """Optimizer steps made, over all scales."""
        return sum(record.step > 0 for record in self.steps)

    @property
    def initial_losses(self) -> Mapping[str, float]:
        """By term, at the run's very start (the coarsest scale)."""
        return self.steps[0].losses

    @property
    def final_losses(self) -> Mapping[str, float]:
        """By term, at the last step (of an averaging optimizer: its last iterate), unclipped."""
        return self.steps[-1].losses

    @property
    def step_seconds(self) -> float:
        """Median seconds of a step at the last scale; 0 when no step was made there."""
        last = [record.seconds for record in self.steps if record.scale == self.steps[-1].scale]
        return float(np.median(np.diff(last))) if len(last) > 1 else 0.0

    def summary(self) -> dict[str, object]:
        """The run's numbers, ready for JSON."""
        height, width = self.image.shape[:2]
        return {
            "size": [width, height],
            "iterations": self.iterations,
            "initial_loss": dict(self.initial_losses),
            "final_loss": dict(self.final_losses),
            "seconds": round(self.seconds, 3),
            "seconds_per_iteration": round(self.step_seconds, 4),
            "backend": self.backend,
            "device": self.device,
            "interrupted": self.interrupted,
            "versions": dict(self.versions),
            "inputs": dict(self.inputs),
        }
