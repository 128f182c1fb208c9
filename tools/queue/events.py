"""Events of a queue of jobs, beside those of each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...core.interfaces.events import Event
from ...core.job.model import Job
from ...core.planning.plan import Plan


@dataclass(frozen=True)
class Task:
    """Result to be made: its label in messages, the path of its PNG, and its plan."""

    label: str
    path: Path
    plan: Plan

    @property
    def job(self) -> Job:
        """Job of the plan, with every default spelled out."""
        return self.plan.job


@dataclass(frozen=True)
class QueueStarted:
    """Start of the queue: `tasks` are to be done; `found` results were finished before."""

    tasks: tuple[Task, ...]
    found: int


@dataclass(frozen=True)
class TaskStarted:
    """Start of the next result, with the reason if it is made again; its run's events follow."""

    task: Task
    why: str


@dataclass(frozen=True)
class TaskDone:
    """Finished result: `painted` by this process, or found finished by another one."""

    task: Task
    painted: bool


@dataclass(frozen=True)
class TaskFailed:
    """Failed result, with the reason; the queue continues."""

    task: Task
    reason: str


@dataclass(frozen=True)
class Report:
    """State of all results of a queue.

    A result is `found` finished, `painted` now, or `failed`, with the reason. If the queue was
    `stopped_by` Ctrl-C or another signal, the remaining ones are `open`.
    """

    found: tuple[Path, ...]
    painted: tuple[Path, ...]
    failed: Mapping[Path, str]
    open: tuple[Path, ...]
    stopped_by: KeyboardInterrupt | None

    @property
    def interrupted(self) -> bool:
        """True if the queue was stopped."""
        return self.stopped_by is not None

    @property
    def has_sheet(self) -> bool:
        """True if a sweep draws its sheet: it was not interrupted, and a cell is finished."""
        return not self.interrupted and bool(self.found or self.painted)

    @property
    def exit_code(self) -> int:
        """Exit code of the command line: 130 after Ctrl-C, another after a signal, 1, or 0."""
        if self.interrupted:
            return getattr(self.stopped_by, "exit_code", 130)
        return 1 if self.failed else 0

    def summary(self) -> dict[str, object]:
        """Return the report ready for JSON."""
        return {
            "found": [str(path) for path in self.found],
            "painted": [str(path) for path in self.painted],
            "failed": {str(path): reason for path, reason in self.failed.items()},
            "open": [str(path) for path in self.open],
            "interrupted": self.interrupted,
        }


@dataclass(frozen=True)
class QueueFinished:
    """Last event of a queue, also after Ctrl-C."""

    report: Report


QueueEvent = QueueStarted | TaskStarted | TaskDone | TaskFailed | QueueFinished | Event
QueueListener = Callable[[QueueEvent], None]
