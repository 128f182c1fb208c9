"""The run of one job, from its plan to its output files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..interfaces.events import Event, Listener, RunFinished, ignore
from ..interfaces.result import Result
from ..outputs.targets import Target, plan_outputs
from ..outputs.writing import write_outputs
from ..planning.plan import Plan
from ..planning.registry import Registry
from ..stopping import StopRequests
from .checkpointing import Checkpointing, CheckpointKeeper
from .preparation import prepare
from .runner import run
from .session import Session
from .snapshots import SnapshotRecorder
from .stills import SaveEvery, Stills


@dataclass(frozen=True)
class Saving:
    """Checkpoints and stills of a run, beside its outputs.

    - `checkpoints`: how its checkpoint is kept; None keeps none.
    - `every`: how often a still is written; None writes none.
    - `stops`: requests to stop, which wait while files are written.
    """

    checkpoints: Checkpointing | None = None
    every: SaveEvery | None = None
    stops: StopRequests = field(default_factory=StopRequests)


def run_job(
    plan: Plan,
    registry: Registry,
    outputs: Sequence[Path | Target] = (),
    writers: Mapping[str, Mapping[str, Any]] = {},
    listener: Listener = ignore,
    session: Session | None = None,
    saving: Saving = Saving(),
) -> Result:
    """Read the images, check the outputs, run the job, and write the outputs.

    `writers` has the options of the writers, by the writers' names. An interrupted run returns its
    result so far, with the outputs written: see `Result.stopped_by`. The last event comes when the
    outputs are written. Raises StylectlError and its subclasses, and what the listener raises.
    """
    prepared = session.prepare(plan) if session else prepare(plan)
    targets = [output if isinstance(output, Target) else Target(output) for output in outputs]
    planned = plan_outputs(targets, plan.job, prepared.size, registry, writers, listener)
    stops = saving.stops
    stills = Stills(saving.every, planned, plan.job, listener, stops) if saving.every else None
    wanted = max((output.writer.snapshots for output in planned), default=0)
    with ExitStack() as stack:
        recorder = stack.enter_context(SnapshotRecorder(wanted, listener))
        keeper = None
        if saving.checkpoints:
            keeper = stack.enter_context(
                CheckpointKeeper(
                    saving.checkpoints, plan, registry, targets, recorder, listener, stops
                )
            )

        def record(event: Event) -> None:
            listener(event)
            recorder.listen(event)

        result = run(prepared, record, session, keeper, stills)
        written: list[Path] = []
        failure: BaseException | None = None
        with stops.deferred():
            try:
                write_outputs(result, planned, recorder.snapshots, listener, written.append)
                if keeper and not result.interrupted:
                    keeper.discard()
            except (KeyboardInterrupt, Exception) as error:
                failure = error  # raised after the last event
        listener(RunFinished(result, tuple(written), keeper.steps if keeper else None))
    if failure is not None:
        raise failure
    return result
