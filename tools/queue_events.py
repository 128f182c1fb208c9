"""What painting many pictures tells its listeners, beside the events of each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.events import Event
from ..core.job import Job


@dataclass(frozen=True)
class Task:
    """A picture to be painted: its job, with everything spelled out, the PNG that it will be, and
    what messages call it."""

    label: str
    path: Path
    job: Job


@dataclass(frozen=True)
class QueueStarted:
    """The work begins: `tasks` are to be painted, `found` were finished before."""

    tasks: tuple[Task, ...]
    found: int


@dataclass(frozen=True)
class TaskStarted:
    """The next picture, and why it is painted if that is worth telling; its run's events follow."""

    task: Task
    why: str


@dataclass(frozen=True)
class TaskDone:
    """The picture is finished: painted, or found finished by another process."""

    task: Task
    painted: bool


@dataclass(frozen=True)
class TaskFailed:
    """The picture could not be painted; the rest goes on."""

    task: Task
    reason: str


@dataclass(frozen=True)
class Report:
    """What became of the pictures: `found` finished, `painted` now, or `failed`, with the reasons.
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
