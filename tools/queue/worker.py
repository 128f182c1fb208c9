"""Worker that does tasks in turn: it skips finished results, and continues after a failure."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

from filelock import Timeout

from ...core.checkpoints.finished import remove_finished
from ...core.errors import ListenerError, OutputError, StylectlError, UsageError
from ...core.files import status_of
from ...core.images.files import ListFiles, file_sha256, input_files, style_files
from ...core.interfaces.events import Notice
from ...core.leftovers import PRIVATE, remove_free_locks, remove_leftovers
from ...core.outputs.record import State, state_of
from ...core.run.job_run import Saving
from ...core.run.session import Session
from ...core.shown import error_line, one_line
from ...plugins.manager import Plugins
from .events import (
    QueueFinished,
    QueueListener,
    QueueStarted,
    Report,
    Task,
    TaskDone,
    TaskFailed,
    TaskStarted,
)
from .job_run import run_planned
from .locks import Locks
from .upcoming import Upcoming

#: Reason for which a result is made again, by the state of its file.
_WHY: dict[State, str] = {
    "missing": "",
    "finished": "",
    "interrupted": "again: it was interrupted",
    "other": "again: it has other settings or files",
}

#: Longest reason of a failure, in characters.
_LONGEST = 2000

#: Check of the tasks that are to be done, in the session that will do them.
Check = Callable[[Session, Sequence[Task]], None]


def no_check(session: Session, tasks: Sequence[Task]) -> None:
    """Check nothing: each task reports its own failure."""


def run_tasks(
    tasks: Sequence[Task],
    plugins: Plugins,
    listener: QueueListener,
    saving: Saving = Saving(),  # noqa: B008 - frozen
    check: Check = no_check,
) -> Report:
    """Do the tasks whose results are not finished, and return the report.

    Tasks that another process is doing come last: they are waited for, and done if that process did
    not finish them.

    A request to stop ends the queue. The result in progress is kept as `stylectl run` keeps it,
    unfinished, and resumed by the next queue. `saving` holds for each task.
    Raises UsageError, ImageError and OutputError for an image that cannot be read, or a folder that
    cannot be made, and what `check` raises for the tasks to do, before the work begins.
    """
    return _Worker(tasks, plugins, listener, saving).report(check)


def states_of(tasks: Sequence[Task]) -> list[State]:
    """Return the state of each task's result, as `run_tasks` would find it.

    Raises UsageError and ImageError for an image that cannot be read.
    """
    hashes = _hashes_of(tasks, cache(style_files), cache(file_sha256))
    return [state_of(task.path, task.plan, hashes[task.path]) for task in tasks]


class _Worker:
    """State of `run_tasks`: the outcomes of the tasks so far."""

    def __init__(
        self, tasks: Sequence[Task], plugins: Plugins, listener: QueueListener, saving: Saving
    ) -> None:
        self._tasks, self._plugins, self._listener = tasks, plugins, listener
        self._saving = saving
        files_of, hash_of = cache(style_files), cache(file_sha256)
        self._hashes = _hashes_of(tasks, files_of, hash_of)
        for folder in {task.path.parent for task in tasks}:
            _make_folder(folder)
        self._session = Session(files_of=files_of, hash_of=hash_of)
        self._locks = Locks(lambda message: listener(Notice(message)))
        self._found: list[Path] = []
        self._painted: list[Path] = []
        self._failed: dict[Path, str] = {}

    def report(self, check: Check) -> Report:
        """Do the tasks and return the report."""
        for problem in self._plugins.problems:
            self._listener(Notice(problem))
        to_do: list[Task] = []
        finished: list[Task] = []
        for task in self._tasks:
            if self._state(task) == "finished":
                self._found.append(task.path)
                finished.append(task)
            else:
                to_do.append(task)
        self._remove_checkpoints(finished)
        with self._session:
            if to_do:
                check(self._session, to_do)
            self._listener(QueueStarted(tuple(to_do), len(self._found)))
            stopped_by = self._do_all(to_do)
        done = {*self._found, *self._painted, *self._failed}
        remaining = tuple(task.path for task in self._tasks if task.path not in done)
        report = Report(
            tuple(self._found), tuple(self._painted), self._failed, remaining, stopped_by
        )
        self._listener(QueueFinished(report))
        return report

    def _do_all(self, tasks: Sequence[Task]) -> KeyboardInterrupt | None:
        """Do the tasks. Return the request to stop that ended the queue, or None."""
        try:
            locked = self._do(tasks, wait=False)
            if locked:
                notice = f"waiting for {len(locked)} results that another process is painting"
                self._listener(Notice(notice))
            self._do(locked, wait=True)
        except KeyboardInterrupt as stop:
            return stop
        return None

    def _do(self, tasks: Sequence[Task], wait: bool) -> list[Task]:
        """Do the tasks, and return those that are locked by other processes.

        These are skipped, unless with `wait`.
        """
        images = [frozenset(self._hashes[task.path].values()) for task in tasks]
        upcoming, skipped = Upcoming(images), []
        for number, task in enumerate(tasks):
            self._session.expect(images[number], partial(upcoming.recurs, after=number))
            if not self._do_one(task, wait):
                skipped.append(task)
        return skipped

    def _do_one(self, task: Task, wait: bool) -> bool:
        """Do a task unless it is finished by now. Return False if another process has locked it."""
        try:
            with self._locks.held(task.path, wait):
                self._finish(task)
        except Timeout:
            return False
        except Exception as error:  # a plugin's code may raise anything; the queue continues
            expected = isinstance(error, StylectlError)
            reason = one_line(str(error), _LONGEST) if expected else error_line(error)
            self._failed[task.path] = reason
            self._listener(TaskFailed(task, reason))
            self._session.close()  # its state is unknown
        return True

    def _finish(self, task: Task) -> None:
        state = self._state(task)
        if state == "finished":
            self._found.append(task.path)
            self._listener(TaskDone(task, painted=False))
            return
        self._listener(TaskStarted(task, _WHY[state]))
        # A listener that failed had its notice; the result is whole.
        with suppress(ListenerError):
            result = run_planned(
                task.plan,
                [task.path],
                {},
                self._plugins,
                self._listener,
                self._session,
                self._saving,
            )
            if result.stopped_by:
                raise result.stopped_by
        self._painted.append(task.path)
        self._listener(TaskDone(task, painted=True))
        self._saving.stops.raise_deferred()

    def _remove_checkpoints(self, finished: Sequence[Task]) -> None:
        """Remove the checkpoints of finished results, whose processes were killed before."""
        if not self._saving.checkpoints:
            return
        checkpoints = self._saving.checkpoints.folder
        checkpoints.clean()
        outputs = {stored.header.request.outputs for stored in checkpoints.stored()}
        for task in finished:
            output = str(task.path.resolve())
            if (output,) in outputs:
                remove_finished(checkpoints, task.plan, self._plugins.registry, [output])

    def _state(self, task: Task) -> State:
        return state_of(task.path, task.plan, self._hashes[task.path])


def _hashes_of(
    tasks: Sequence[Task], files_of: ListFiles, hash_of: Callable[[str], str]
) -> dict[Path, dict[str, str]]:
    """Return the SHA-256 of all files that each task names, by their paths in the job."""
    return {
        task.path: {
            path: hash_of(path) for path in (*input_files(task.job, files_of), *task.plan.files)
        }
        | dict(task.plan.backbone.published)
        for task in tasks
    }


def _make_folder(folder: Path) -> None:
    """Create a folder, or remove killed processes' files from it; check that it can be written to.

    Raises UsageError if the path is a file, and OutputError for a folder that cannot be created or
    written to.
    """
    status = status_of(folder)
    if status is not None and not stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{folder}: this is a file; name a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder, PRIVATE)
        remove_free_locks(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{folder}: no file can be written there ({reason})") from None
