"""Events of a run, for its listeners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..job.model import Job
from ..sizes.pyramid import Scale
from .result import Result

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RunStarted:
    """Start of a run: the job is valid, its images are read, its network is ready.

    `details` are those of the Result. `steps_done` is the number of optimizer steps that were made
    before, if the run goes on from a checkpoint.
    """

    job: Job
    scales: tuple[Scale, ...]
    device: str
    details: Mapping[str, str]
    steps_done: int = 0


@dataclass(frozen=True)
class ScaleStarted:
    """Start of the optimizer at `scales[index]`."""

    index: int
    scale: Scale


@dataclass(frozen=True)
class StepDone:
    """One optimizer step.

    `step` counts from 0 (the scale's starting point) to the scale's `steps`; `losses` are the
    terms' weighted losses, whose sum is `loss`; `seconds` is the time since the run started.
    `image` (1, 3, H, W), RGB, nominally in [0, 1], is the result so far: copy it to change or keep
    it.
    """

    scale: int
    step: int
    loss: float
    losses: Mapping[str, float]
    seconds: float
    image: Tensor


@dataclass(frozen=True)
class ScaleSettled:
    """Early end of the steps at `scales[index]`: the loss does not change any more.

    `step` is the last one that was made; see `Job.least_change`.
    """

    index: int
    scale: Scale
    step: int


@dataclass(frozen=True)
class Notice:
    """Message for the user: what was assumed, adapted or recovered from."""

    message: str


@dataclass(frozen=True)
class RunFinished:
    """End of a run: the last event, also of an interrupted run that has a result.

    `outputs` are the files that were written. `checkpoint` is the number of steps after which an
    interrupted run can be resumed, or None.
    """

    result: Result
    outputs: tuple[Path, ...] = ()
    checkpoint: int | None = None


#: What happens in a run; a listener is called with each.
Event = RunStarted | ScaleStarted | StepDone | ScaleSettled | Notice | RunFinished
Listener = Callable[[Event], None]


def ignore(_event: object) -> None:
    """Ignore the event; the listener that does nothing."""
