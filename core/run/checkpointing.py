"""The checkpoint of a run: found and resumed, written again and again, deleted at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.conditions import (
    Conditions,
    differences,
    opened_conditions,
    planned_conditions,
)
from ..checkpoints.finished import remove_finished
from ..checkpoints.folder import Checkpoints, HeldCheckpoint, StoredCheckpoint
from ..checkpoints.format import (
    Header,
    Request,
    StoredSnapshot,
    read_checkpoint,
    read_header,
    write_checkpoint,
)
from ..errors import CheckpointError, PluginError, UsageError
from ..interfaces.events import Listener, Notice
from ..outputs.record import read_record
from ..outputs.targets import Target
from ..planning.plan import Plan
from ..planning.registry import Registry
from ..sizes.tiles import Tilers
from ..stopping import StopRequests
from .open_run import OpenRun
from .snapshots import SnapshotFile, SnapshotRecorder

_AFRESH = "starting from the beginning"


@dataclass(frozen=True)
class Checkpointing:
    """Settings of a run's checkpoint.

    - `folder`: where.
    - `every`: seconds from one checkpoint to the next, and to the first one.
    - `request`: what was asked for beside the job; the run adds its outputs.
    - `resumed`: the checkpoint that must be resumed; None takes one that fits, if there is one.
    """

    folder: Checkpoints
    every: float
    request: Request
    resumed: StoredCheckpoint | None = None


class CheckpointKeeper:
    """Keeper of a run's checkpoint; it holds the checkpoint's lock until it is closed."""

    def __init__(
        self,
        how: Checkpointing,
        plan: Plan,
        registry: Registry,
        outputs: Sequence[Target],
        recorder: SnapshotRecorder,
        listener: Listener,
        stops: StopRequests,
    ) -> None:
        """Keep the checkpoint of a `plan`, whose snapshots `recorder` stores."""
        self._how, self._plan, self._registry = how, plan, registry
        self._recorder, self._listener, self._stops = recorder, listener, stops
        writers = {str(target.path.resolve()): target.writer for target in outputs}
        chosen = {path: name for path, name in writers.items() if name}
        self._request = how.request.model_copy(
            update={"outputs": tuple(writers), "chosen_writers": chosen}
        )
        self._conditions: Conditions = {}
        self._tilers: Sequence[Tilers] = ()
        self._held: HeldCheckpoint | None = None
        self._failed = self._off = False
        self._last = 0.0
        #: Steps of the checkpoint that is on disk; None if there is none.
        self.steps: int | None = None

    def __enter__(self) -> Self:
        """Find and lock a checkpoint to resume.

        Raises CheckpointError if the one that must be resumed does not fit.
        """
        self._conditions = planned_conditions(self._plan, self._registry)
        must = self._how.resumed
        for folder in self._how.folder.unreadable():
            if folder.name.startswith(f"{self._stem}-"):
                self._listener(Notice(f"{folder}: a checkpoint that this version cannot read"))
        for stored in [must] if must else self._candidates():
            if self._take(stored):
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._held is not None:
            if not self._held.file.exists():
                self._held.discard()
            self._held.close()
            self._held = None

    @property
    def former_tilers(self) -> Sequence[Tilers]:
        """Tilers of the checkpoint to resume; none if there is no such checkpoint."""
        if self._held is None:
            return ()
        return read_header(self._held.file).tilers

    def resume(self, run: OpenRun) -> Checkpoint | None:
        """Return the checkpoint to go on from, or None to start from the beginning.

        Raises CheckpointError if one must be resumed and does not fit.
        """
        self._last = time.monotonic()
        self._tilers = run.tilers
        self._conditions |= opened_conditions(run.prepared.inputs.hashes, run.backend, run.tilers)
        if self._held is None:
            return None
        try:
            header = read_header(self._held.file)
            changes = differences(header.conditions, self._conditions)
            if changes:
                raise CheckpointError(_refusal(header, changes))
            checkpoint = read_checkpoint(self._held.file, run.backend.device)
            scale = run.prepared.scales[checkpoint.scale].scale
            if checkpoint.step > scale.steps or not run.fits(checkpoint.scale, checkpoint.image):
                raise CheckpointError(f"{self._held.file}: damaged (of another size)")
        except CheckpointError as error:
            self._held.close()
            self._held = None
            if self._how.resumed:
                raise
            self._listener(Notice(f"{error}; {_AFRESH}"))
            return None
        self._listener(Notice(f"resuming after step {header.steps} of {header.all_steps}"))
        self._resume_snapshots(header, len(checkpoint.records), self._held)
        self.steps = header.steps
        return checkpoint

    def step_done(self, steps: int, all_steps: int, make: Callable[[], Checkpoint | None]) -> None:
        """Write a checkpoint, made by `make`, if it is time for one."""
        if self._off or time.monotonic() - self._last < self._how.every:
            return
        reason = f"the optimizer {self._plan.job.optimizer.name} gives no state"
        try:
            checkpoint = make()
        except PluginError as error:
            checkpoint, reason = None, str(error)
        if checkpoint is None:
            self._off = True
            self._listener(Notice(f"no checkpoint is kept: {reason}"))
            return
        try:
            with self._stops.deferred():
                self._write(checkpoint, steps, all_steps)
        except OSError as error:
            if not self._failed:
                reason = error.strerror or str(error)
                self._listener(Notice(f"no checkpoint can be written ({reason})"))
            self._failed = True
        self._last = time.monotonic()
        self._stops.raise_deferred()

    def discard(self) -> None:
        """Delete the checkpoint of a finished run, and former ones of the same job and outputs."""
        if self._held is not None:
            self._held.discard()
        self.steps = None
        remove_finished(self._how.folder, self._plan, self._registry, self._request.outputs)

    @property
    def _stem(self) -> str:
        """Beginning of the name of the checkpoint's folder."""
        return Path(self._request.outputs[0]).stem if self._request.outputs else "run"

    def _candidates(self) -> list[StoredCheckpoint]:
        """Return the checkpoints of the job or of an output, those of both first."""
        stored = self._how.folder.stored()
        outputs = set(self._request.outputs)
        of_outputs = [one for one in stored if outputs & {*one.header.request.outputs}]
        of_job = [one for one in stored if self._is_same(one) and one not in of_outputs]
        return sorted(of_outputs, key=lambda one: not self._is_same(one)) + of_job

    def _is_same(self, stored: StoredCheckpoint) -> bool:
        return stored.header.conditions.get("job") == self._conditions["job"]

    def _take(self, stored: StoredCheckpoint) -> bool:
        """Lock a checkpoint if its conditions are those of the run, or give the reason."""
        header = stored.header
        changes = differences(header.conditions, self._conditions)
        if changes:
            reason = _refusal(header, changes)
        elif (held := self._how.folder.hold(stored)) is not None:
            self._held = held
            return True
        elif {*header.request.outputs} & {*self._request.outputs}:
            reason = f"{_name(header)} is being made by another process"
        else:
            return False
        if self._how.resumed:
            raise CheckpointError(reason)
        self._listener(Notice(f"{reason}; {_AFRESH}"))
        return False

    def _write(self, checkpoint: Checkpoint, steps: int, all_steps: int) -> None:
        if self._held is None:
            self._held = self._how.folder.new(self._stem)
        files = self._recorder.files
        self._held.add_snapshots([snapshot.file for snapshot in files])
        tensors = checkpoint.tensors()
        device = checkpoint.image.device
        header = Header(
            written=time.time(),
            request=self._request,
            job=self._plan.job.as_table(),
            conditions=self._conditions,
            tilers=tuple(self._tilers),
            steps=steps,
            all_steps=all_steps,
            wanted_snapshots=self._recorder.wanted,
            snapshots=tuple(
                StoredSnapshot(**{**asdict(snapshot), "file": snapshot.file.name})
                for snapshot in files
            ),
            values=checkpoint.values(),
            on_host=tuple(name for name in tensors if tensors[name].device != device),
        )
        write_checkpoint(self._held.file, header, tensors)
        self.steps = steps

    def _resume_snapshots(self, header: Header, seen: int, held: HeldCheckpoint) -> None:
        files = [
            SnapshotFile(one.scale, one.step, one.seconds, held.snapshot(one.file))
            for one in header.snapshots
        ]
        present = [snapshot for snapshot in files if snapshot.file.is_file()]
        missing = self._recorder.wanted > header.wanted_snapshots or len(present) < len(files)
        if missing and self._recorder.wanted:
            self._listener(
                Notice("the outputs lack images of the steps so far, which were not kept")
            )
        self._recorder.resume(present, seen)


def default_output(how: Checkpointing | None, plan: Plan, registry: Registry) -> Path | None:
    """Return the default name of the output of an unfinished run of the plan, or None.

    The run began in the current folder, and the file is missing or its unfinished result.
    """
    stored = [one for one in how.folder.stored() if one.header.request.default_name] if how else []
    if not stored:
        return None
    conditions = planned_conditions(plan, registry)
    for header in (one.header for one in stored):
        path = Path(header.request.outputs[0])
        is_here = path.parent == Path.cwd() and _is_unfinished(path)
        if is_here and not differences(header.conditions, conditions):
            return Path(path.name)
    return None


def _is_unfinished(path: Path) -> bool:
    if not path.exists():
        return True
    try:
        return read_record(path).get("interrupted") is True
    except (UsageError, OSError):
        return False


def _refusal(header: Header, found: Sequence[str]) -> str:
    return (
        f"{_name(header)} has a checkpoint after step {header.steps} of {header.all_steps}, which "
        f"cannot be resumed, since these differ: {', '.join(found)}"
    )


def _name(header: Header) -> str:
    """Return the path of the first output, for messages."""
    if not header.request.outputs:
        return "the job"
    path = header.request.outputs[0]
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path
