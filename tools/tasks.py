"""Many pictures in turn: what is finished is found, what fails does not stop the rest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..core.errors import OutputError, StylectlError, UsageError
from ..core.events import Notice
from ..core.images import SAMPLES, file_sha256
from ..core.inputs import input_files
from ..core.options import build_job
from ..core.plan import make_plan
from ..core.record import State, state_of
from ..core.registry import Registry
from ..core.studio import Studio
from ..plugins.manager import Plugins
from .api import paint_job
from .queue_events import (
    QueueFinished,
    QueueListener,
    QueueStarted,
    Report,
    Task,
    TaskDone,
    TaskFailed,
    TaskStarted,
)

#: Why a picture is painted, where that is worth telling.
_WHY: dict[State, str] = {
    "missing": "",
    "finished": "",
    "interrupted": "again: it was interrupted",
    "other": "again: it has other settings or images",
}


def make_task(
    label: str,
    path: Path,
    options: Mapping[str, Any],
    file: Mapping[str, Any] | None,
    registry: Registry,
) -> Task:
    """Raises UsageError and PluginError as `build_job` and `make_plan` do; `options` may have a
    `preset`."""
    plain = {name: value for name, value in options.items() if name != "preset"}
    job = build_job(plain, file, options.get("preset"))
    return Task(label, path, make_plan(job, registry).job)


def check_paths(tasks: Sequence[Task]) -> None:
    """Raises UsageError when two tasks have one path, or one has that of an image that is read."""
    labels: dict[str, str] = {}
    for task in tasks:
        # As on file systems that do not tell capitals apart.
        key = str(task.path.resolve()).casefold()
        if key in labels:
            raise UsageError(
                f"{labels[key]} and {task.label} would both be written to {task.path}; rename an "
                "image, or give the outputs names in a manifest"
            )
        labels[key] = task.label
    for task in tasks:
        for path in task.job.input_paths:
            if path not in SAMPLES and str(Path(path).resolve()).casefold() in labels:
                raise UsageError(f"{task.label}: {path} is read, and would be written over")


def png_path(label: str, name: object) -> Path:
    """Raises UsageError for an output that is no PNG: only a PNG says whether it is finished."""
    if not isinstance(name, str | Path) or Path(name).suffix.lower() != ".png":
        raise UsageError(f"{label}: its output is {name}; name a PNG, *.png")
    return Path(name)


def paint_all(tasks: Sequence[Task], plugins: Plugins, listener: QueueListener) -> Report:
    """Paint the tasks whose pictures are not finished. Those that another process is painting come
    last: they are waited for, and painted if that process did not finish them.

    Ctrl-C ends it. The picture in progress is kept as `stylectl run` keeps it, unfinished. Raises
    UsageError, ImageError and OutputError for an image that cannot be read, or a folder that cannot
    be made, before the work begins.
    """
    return _Work(tasks, plugins, listener).report()


class _Work:
    """The state of `paint_all`: what became of the tasks so far."""

    def __init__(self, tasks: Sequence[Task], plugins: Plugins, listener: QueueListener) -> None:
        self._tasks, self._plugins, self._listener = tasks, plugins, listener
        every = {path for task in tasks for path in input_files(task.job)}
        self._hashes = {path: file_sha256(path) for path in sorted(every)}
        for folder in {task.path.parent for task in tasks}:
            _make_folder(folder)
        self._studio = Studio()
        self._found: list[Path] = []
        self._painted: list[Path] = []
        self._failed: dict[Path, str] = {}

    def report(self) -> Report:
        """Do the work."""
        for problem in self._plugins.problems:
            self._listener(Notice(problem))
        to_paint: list[Task] = []
        for task in self._tasks:
            if self._state(task) == "finished":
                self._found.append(task.path)
            else:
                to_paint.append(task)
        self._listener(QueueStarted(tuple(to_paint), len(self._found)))
        interrupted = False
        try:
            with self._studio:
                self._paint(to_paint)
        except KeyboardInterrupt:
            interrupted = True
        done = {*self._found, *self._painted, *self._failed}
        left = tuple(task.path for task in self._tasks if task.path not in done)
        report = Report(tuple(self._found), tuple(self._painted), self._failed, left, interrupted)
        self._listener(QueueFinished(report))
        return report

    def _paint(self, tasks: Sequence[Task]) -> None:
        elsewhere: list[Task] = []
        for index, task in enumerate(tasks):
            self._prepare(task, [*tasks[index + 1 :], *elsewhere])
            if not self._done_with(task, wait=False):
                elsewhere.append(task)
        if elsewhere:
            self._listener(Notice(f"waiting for {len(elsewhere)} that another process is painting"))
        for index, task in enumerate(elsewhere):
            self._prepare(task, elsewhere[index + 1 :])
            self._done_with(task, wait=True)

    def _prepare(self, task: Task, later: Iterable[Task]) -> None:
        images = (self._images(each).values() for each in later)
        self._studio.prepare(self._images(task).values(), images)

    def _done_with(self, task: Task, wait: bool) -> bool:
        """Paint the task unless it is finished by now. False if another process has it; with
        `wait`, only after that has left it."""
        try:
            with _locked(task.path, wait):
                self._bring_about(task)
        except Timeout:
            return False
        except Exception as error:  # a plugin's code may raise anything; the rest goes on
            reason = str(error) if isinstance(error, StylectlError) else repr(error)
            self._failed[task.path] = " ".join(reason.split())
            self._listener(TaskFailed(task, self._failed[task.path]))
            self._studio.close()  # in whatever state it is
        return True

    def _bring_about(self, task: Task) -> None:
        state = self._state(task)
        if state == "finished":
            self._found.append(task.path)
            self._listener(TaskDone(task, painted=False))
            return
        self._listener(TaskStarted(task, _WHY[state]))
        result = paint_job(task.job, [task.path], {}, self._plugins, self._listener, self._studio)
        if result.interrupted:
            raise KeyboardInterrupt
        self._painted.append(task.path)
        self._listener(TaskDone(task, painted=True))

    def _state(self, task: Task) -> State:
        return state_of(task.path, task.job, self._images(task))

    def _images(self, task: Task) -> dict[str, str]:
        return {path: self._hashes[path] for path in input_files(task.job)}


def _make_folder(folder: Path) -> None:
    """Raises UsageError where there is a file, and OutputError where none can be made
    or written to."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: this is a file; name a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"{folder}: no file can be made there ({error.strerror})") from None


@contextmanager
def _locked(path: Path, wait: bool) -> Iterator[None]:
    """While no other process paints the picture. The lock is the system's: it ends with its
    process, however that ends. Raises filelock.Timeout, at once, unless it shall `wait`."""
    file = path.with_name(f".{path.name}.lock")
    with FileLock(file, timeout=-1 if wait else 0):
        try:
            yield
        finally:
            # While it is held: a process that has just opened it sees that it is gone.
            with suppress(OSError):
                file.unlink()
