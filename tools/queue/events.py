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
    """A result to be made: its plan, the PNG that it will be, and its name in messages."""

    label: str
    path: Path
    plan: Plan

    @property
    def job(self) -> Job:
        """The plan's job, with everything spelled out."""
        return self.plan.job


@dataclass(frozen=True)
class QueueStarted:
    """The work begins: `tasks` are to be done, `found` were finished before."""

    tasks: tuple[Task, ...]
    found: int


@dataclass(frozen=True)
class TaskStarted:
    """The next result, and `why` it is made again, if it is; its run's events follow."""

    task: Task
    why: str


@dataclass(frozen=True)
class TaskDone:
    """The result is finished: `painted`, or found finished by another process."""

    task: Task
    painted: bool


@dataclass(frozen=True)
class TaskFailed:
    """The result could not be made; the rest goes on."""

    task: Task
    reason: str


@dataclass(frozen=True)
class Report:
    """The state of all results: `found` finished, `painted` now, or `failed`, with the reasons.
    After Ctrl-C some are none of these: `open`."""

    found: tuple[Path, ...]
    painted: tuple[Path, ...]
    failed: Mapping[Path, str]
    open: tuple[Path, ...]
    interrupted: bool

    @property
    def exit_code(self) -> int:
        """What the command line leaves with."""
        return 130 if self.interrupted else 1 if self.failed else 0

    def summary(self) -> dict[str, object]:
        """Ready for JSON."""
        return {
            "found": [str(path) for path in self.found],
            "painted": [str(path) for path in self.painted],
            "failed": {str(path): reason for path, reason in self.failed.items()},
            "open": [str(path) for path in self.open],
            "interrupted": self.interrupted,
        }


@dataclass(frozen=True)
class QueueFinished:
    """The last event, also after Ctrl-C."""

    report: Report


QueueEvent = QueueStarted | TaskStarted | TaskDone | TaskFailed | QueueFinished | Event
QueueListener = Callable[[QueueEvent], None]
