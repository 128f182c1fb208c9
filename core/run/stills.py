"""Stills: the results of some steps, written while the run goes on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ..errors import UsageError
from ..interfaces.events import Listener, Notice
from ..interfaces.result import Result, StepRecord
from ..job.model import Job
from ..job.options.text import seconds_of
from ..job.paths import SAMPLES
from ..outputs.targets import Output
from ..outputs.writing import write_output
from ..stopping import StopRequests


@dataclass(frozen=True)
class SaveEvery:
    """Interval of stills: a number of steps, or else of seconds."""

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def read(cls, value: int | str) -> Self:
        """Read a number of steps, as in 50, or a time, as in 10m. Raises UsageError."""
        text = str(value)
        if re.fullmatch(r"[0-9]+", text):
            if int(text) < 1:
                raise UsageError("`save_every` should be at least 1 step")
            return cls(steps=int(text))
        seconds = seconds_of("save_every", text)
        if seconds <= 0:
            raise UsageError("`save_every` should be more than 0 seconds")
        return cls(seconds=seconds)


class UnfinishedError(Exception):
    """Reason for which a still has fewer steps than its job: the run goes on."""


class Stills:
    """Writer of stills, such as ``out-0050.png`` after 50 steps for the output ``out.png``."""

    def __init__(
        self,
        every: SaveEvery,
        outputs: Sequence[Output],
        job: Job,
        listener: Listener,
        stops: StopRequests,
    ) -> None:
        """Write stills for each of the `outputs` whose writer shows the result alone.

        Raises UsageError if there is none, or if a still would overwrite an input.
        """
        self._every, self._listener, self._stops = every, listener, stops
        self._outputs = [output for output in outputs if not output.writer.snapshots]
        if not self._outputs:
            raise UsageError("`save_every` has no effect: no output is a single image")
        self._digits = max(4, len(str(job.iterations)))
        for path in job.input_paths:
            source = SAMPLES.get(path, Path(path))
            for output in self._outputs:
                name = re.escape(output.path.stem) + r"-\d+" + re.escape(output.path.suffix)
                if re.fullmatch(name, source.name) and _same_folder(source, output.path):
                    raise UsageError(f"{path}: a still of `save_every` may overwrite this input")

    def step_done(
        self, steps: int, record: StepRecord, before: float, result: Callable[..., Result]
    ) -> None:
        """Write a still if it is time for one, after `steps` steps in all.

        `record` is that of the last step, `before` are the seconds of the step before.
        """
        if not self._is_due(steps, record, before):
            return
        still = result(stopped_by=UnfinishedError(f"a still after {steps} steps"))
        with self._stops.deferred():
            for output in tuple(self._outputs):
                name = f"{output.path.stem}-{steps:0{self._digits}}{output.path.suffix}"
                path = output.path.with_name(name)
                if failure := write_output(still, replace(output, path=path)):
                    self._listener(Notice(f"{failure}; no more stills of it are written"))
                    self._outputs.remove(output)
        self._stops.raise_deferred()

    def _is_due(self, steps: int, record: StepRecord, before: float) -> bool:
        if record.step == 0 or not self._outputs:
            return False
        if self._every.seconds is not None:
            return record.seconds // self._every.seconds > before // self._every.seconds
        return self._every.steps is not None and steps % self._every.steps == 0


def _same_folder(one: Path, other: Path) -> bool:
    return one.resolve().parent == other.resolve().parent
