"""The run of one job, from its plan to its output files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..interfaces.events import Event, Listener, RunFinished, ignore
from ..interfaces.result import Result
from ..planning.plan import Plan
from ..planning.registry import Registry
from .outputs import Target, plan_outputs, write_outputs
from .preparation import prepare
from .runner import run
from .session import Session
from .snapshots import SnapshotRecorder


def run_job(
    plan: Plan,
    registry: Registry,
    outputs: Sequence[Path | Target] = (),
    writers: Mapping[str, Mapping[str, Any]] = {},
    listener: Listener = ignore,
    session: Session | None = None,
) -> Result:
    """Read the images, check the outputs, run the job, and write the outputs.

    `writers` has the options of the writers, by the writers' names. An interrupted run returns its
    result so far, with the outputs written: see `Result.stopped_by`. An exception that the listener
    raises at the last event is raised after the outputs are written. Raises StylectlError and its
    subclasses.
    """
    prepared = session.prepare(plan) if session else prepare(plan)
    planned = plan_outputs(outputs, plan.job, prepared.size, registry, writers, listener)
    wanted = max((output.writer.snapshots for output in planned), default=0)
    with SnapshotRecorder(wanted, listener) as recorder:

        def record(event: Event) -> None:
            listener(event)
            recorder.listen(event)

        result = run(prepared, record, session)
        failure: BaseException | None = None
        try:
            listener(RunFinished(result))
        except (KeyboardInterrupt, Exception) as error:
            failure = error  # raised once the outputs are written
        write_outputs(result, planned, recorder.snapshots, listener)
    if failure is not None:
        raise failure
    return result
