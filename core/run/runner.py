"""The runner, which makes a result from a prepared job."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version

from torch import Tensor

from ..interfaces.events import Listener, Notice, RunStarted, ScaleStarted, StepDone, ignore
from ..interfaces.result import Result, StepRecord
from ..planning.scale_sizes import size_notices
from ..sizes.pyramid import Scale
from .open_run import OpenRun
from .preparation import Prepared
from .session import Session


def run(prepared: Prepared, listener: Listener = ignore, session: Session | None = None) -> Result:
    """Run a job in a `session`, which other jobs may share; None opens one for this job.

    Ctrl-C, or an error after the first step, stops the run: the result is then the last good image,
    at the scale that was reached, and `stopped_by` is the exception. Before the first step it is
    raised: ImageError, BackendError, MemoryLimitError, NumericalError, PluginError, WeightsError.
    """
    for message in size_notices(prepared.plan.job, prepared.inputs, prepared.size):
        listener(Notice(message))
    for message in prepared.inputs.notices:
        listener(Notice(message))
    if session is not None:
        return _Runner(session.open(prepared), listener).run()
    with Session() as single_session:
        return _Runner(single_session.open(prepared), listener).run()


class _Runner:
    """State of a run: the image so far and the records of its steps."""

    def __init__(self, open_run: OpenRun, listener: Listener) -> None:
        self._run, self._listener = open_run, listener
        self._scales = tuple(sizes.scale for sizes in open_run.prepared.scales)
        self._started = 0.0
        self._records: list[StepRecord] = []
        self._image: Tensor | None = None
        self._shown: Tensor | None = None

    def run(self) -> Result:
        details = self._run.details
        if "tiles" in details:
            notice = f"the result is computed in tiles, which fit the memory: {details['tiles']}"
            self._listener(Notice(notice))
        device = str(self._run.backend.device)
        self._listener(RunStarted(self._run.plan.job, self._scales, device, details))
        self._started = time.perf_counter()
        try:
            for index, scale in enumerate(self._scales):
                self._run_scale(index, scale)
        except (KeyboardInterrupt, Exception) as error:
            if not any(record.step > 0 for record in self._records):
                raise  # the starting point alone is not a result
            return self._result(stopped_by=error)
        return self._result()

    def _run_scale(self, index: int, scale: Scale) -> None:
        self._listener(ScaleStarted(index, scale))
        steps = self._run.steps(index, self._image, lambda text: self._listener(Notice(text)))
        for number, step in enumerate(steps):
            self._image, self._shown = step.image, step.shown
            value, losses = step.evaluation.value, step.evaluation.losses
            seconds = time.perf_counter() - self._started
            self._records.append(StepRecord(index, number, losses, seconds))
            self._listener(StepDone(index, number, value, losses, seconds, step.shown))

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
            versions=_versions(),
            backend=plan.backend.name,
            device=str(self._run.backend.device),
            details=self._run.details,
            seconds=time.perf_counter() - self._started,
            stopped_by=stopped_by,
            scales=self._scales,
            option_models=plan.models,
        )


def _versions() -> dict[str, str]:
    packages = ("stylectl", "torch", "numpy", "pillow")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
