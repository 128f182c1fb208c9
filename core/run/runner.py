"""The runner, which makes a result from a prepared job."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.metadata import version

from torch import Tensor

from ..checkpoints.checkpoint import Checkpoint, random_states
from ..errors import NumericalError
from ..interfaces.events import (
    Listener,
    Notice,
    RunStarted,
    ScaleSettled,
    ScaleStarted,
    StepDone,
    ignore,
)
from ..interfaces.optimizer import OptimizerState
from ..interfaces.result import Result, StepRecord
from ..planning.scale_sizes import size_notices
from .checkpointing import CheckpointKeeper
from .open_run import OpenRun
from .preparation import Prepared
from .session import Session
from .settling import settled
from .stills import Stills

#: Least change of a pixel that counts: half a level of 16 bits.
_LEAST_CHANGE = 0.5 / 65535

_NOTHING_MOVED = (
    "no step changed a pixel, so that the result is the starting image: it is the minimum of the "
    "loss terms, or their weights are too small or too large for float32; change the weights, or "
    "start from another image with `init`"
)


def run(
    prepared: Prepared,
    listener: Listener = ignore,
    session: Session | None = None,
    keeper: CheckpointKeeper | None = None,
    stills: Stills | None = None,
) -> Result:
    """Run a job in a `session`, which other jobs may share; None opens one for this job.

    It goes on from the checkpoint of the `keeper`, which writes others. `stills` writes the results
    of some steps.

    Ctrl-C, or an error after the first step, stops the run: the result is then the last good image,
    at the scale that was reached, and `stopped_by` is the exception. Before the first step it is
    raised: ImageError, BackendError, CheckpointError, MemoryLimitError, NumericalError,
    PluginError, WeightsError.
    """
    for message in size_notices(prepared.plan.job, prepared.inputs, prepared.size):
        listener(Notice(message))
    for message in prepared.inputs.notices:
        listener(Notice(message))
    with ExitStack() as stack:
        session = session or stack.enter_context(Session())
        open_run = session.open(prepared, keeper.former_tilers if keeper else ())
        return _Runner(open_run, listener, keeper, stills).run()


class _Runner:
    """State of a run: the image so far and the records of its steps."""

    def __init__(
        self,
        open_run: OpenRun,
        listener: Listener,
        keeper: CheckpointKeeper | None,
        stills: Stills | None,
    ) -> None:
        self._run, self._listener = open_run, listener
        self._keeper, self._stills = keeper, stills
        self._scales = tuple(sizes.scale for sizes in open_run.prepared.scales)
        self._started, self._steps_done = 0.0, 0
        self._records: list[StepRecord] = []
        self._image: Tensor | None = None
        self._shown: Tensor | None = None
        self._state: Callable[[], OptimizerState] | None = None
        self._results: Mapping[str, Tensor] = {}
        self._moved = False

    def run(self) -> Result:
        details = self._run.details
        if "tiles" in details:
            notice = f"the result is computed in tiles, which fit the memory: {details['tiles']}"
            self._listener(Notice(notice))
        if (precision := self._run.backend.chosen_precision) not in (None, "float32"):
            self._listener(
                Notice(
                    f"the network is computed in {precision}, which is faster and changes a result "
                    "about as much as another seed; `precision=float32` is exact"
                )
            )
        resumed = self._keeper.resume(self._run) if self._keeper else None
        if resumed:
            self._resume(resumed)
        device = str(self._run.backend.device)
        job, done = self._run.plan.job, self._steps_done
        self._listener(RunStarted(job, self._scales, device, details, done))
        self._started = time.perf_counter() - (resumed.seconds if resumed else 0.0)
        try:
            self._run_scales(resumed)
        except (KeyboardInterrupt, Exception) as error:
            if not self._steps_done:
                raise  # the starting point alone is not a result
            return self._result(stopped_by=error)
        if self._steps_done and not self._moved:
            return self._result(stopped_by=NumericalError(_NOTHING_MOVED))
        return self._result()

    def _resume(self, resumed: Checkpoint) -> None:
        self._records = [*resumed.records]
        self._steps_done = sum(record.step > 0 for record in resumed.records)
        self._image, self._moved = resumed.image, True
        self._shown = self._run.shown(resumed.scale, resumed.image)

    def _run_scales(self, resumed: Checkpoint | None) -> None:
        first = resumed.scale if resumed else 0
        if resumed and (resumed.step == self._scales[first].steps or self._settled()):
            first, resumed = first + 1, None
        for index in range(first, len(self._scales)):
            self._run_scale(index, resumed)
            resumed = None

    def _run_scale(self, index: int, resumed: Checkpoint | None) -> None:
        self._listener(ScaleStarted(index, self._scales[index]))
        first = resumed.step + 1 if resumed else 0
        steps = self._run.steps(
            index, self._image, lambda text: self._listener(Notice(text)), resumed
        )
        del resumed  # its images are replaced
        before: Tensor | None = None
        for number, step in enumerate(steps, start=first):
            if not self._moved:
                before = step.image if before is None else before
                self._moved = (step.image - before).abs().max().item() > _LEAST_CHANGE
            self._image, self._shown, self._state = step.image, step.shown, step.state
            self._results = step.results
            value, losses = step.evaluation.value, step.evaluation.losses
            seconds = time.perf_counter() - self._started
            self._records.append(StepRecord(index, number, losses, seconds))
            self._steps_done += number > 0
            self._listener(StepDone(index, number, value, losses, seconds, step.shown))
            self._save()
            if self._settled() and number < self._scales[index].steps:
                self._listener(ScaleSettled(index, self._scales[index], number))
                break

    def _settled(self) -> bool:
        """Return whether the scale of the last step ends early."""
        plan = self._run.plan
        changing = any(planned.term.renewed_within_scale for planned in plan.terms)
        return not changing and settled(self._records, plan.job.least_change)

    def _save(self) -> None:
        """Write a checkpoint, and the result of the step, if it is time for them."""
        done, all_steps = self._steps_done, sum(scale.steps for scale in self._scales)
        if self._stills:
            before = self._records[-2].seconds if len(self._records) > 1 else 0.0
            self._stills.step_done(done, self._records[-1], before, self._result)
        if self._keeper:
            self._keeper.step_done(done, all_steps, self._checkpoint)

    def _checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint after the last step; None if the optimizer has no state."""
        if self._state is None:
            return None
        assert self._image is not None
        last = self._records[-1]
        return Checkpoint(
            scale=last.scale,
            step=last.step,
            seconds=last.seconds,
            records=tuple(self._records),
            image=self._image,
            optimizer=self._state(),
            random=random_states(self._run.backend.device),
            results=self._results,
        )

    def _result(self, stopped_by: BaseException | None = None) -> Result:
        """Return the result so far: the image, clipped to [0, 1], with the records."""
        assert self._shown is not None
        inputs, plan = self._run.prepared.inputs, self._run.plan
        pixels = self._shown[0].clamp(0, 1).permute(1, 2, 0).float().cpu().numpy()
        alpha = inputs.content.alpha_array(*pixels.shape[:2]) if inputs.content else None
        return Result(
            image=pixels,
            alpha=alpha,
            content=inputs.content,
            styles=tuple((style.image, style.share) for style in inputs.styles),
            job=plan.job,
            steps=tuple(self._records),
            inputs=inputs.hashes,
            versions=versions(),
            backend=plan.backend.name,
            device=str(self._run.backend.device),
            details=self._run.details,
            seconds=time.perf_counter() - self._started,
            stopped_by=stopped_by,
            scales=self._scales,
            option_models=plan.models,
        )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that compute in every run."""
    packages = ("stylectl", "torch", "numpy", "pillow")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
