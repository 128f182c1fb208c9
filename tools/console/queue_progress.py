"""Progress of many runs on stderr: the current run, and the time that all will take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TaskID

from ...core.job.model import Job
from ..queue.events import (
    QueueEvent,
    QueueFinished,
    QueueStarted,
    Report,
    Task,
    TaskDone,
    TaskFailed,
    TaskStarted,
)
from .progress import RunProgress, bar_on, stderr_console


@contextmanager
def queue_progress(word: str) -> Iterator[QueueProgress]:
    """Yield a listener that shows the progress of many runs while the context is open.

    `word` is the noun for one of the results, such as ``cell``.
    """
    console = stderr_console()
    with bar_on(console) as bar:
        yield QueueProgress(console, bar, word)


class QueueProgress:
    """Listener with a bar for the current run and a bar for all runs.

    Work is counted in pixels times steps.
    """

    def __init__(self, console: Console, bar: Progress, word: str) -> None:
        self._console, self._bar, self._word = console, bar, word
        self._all: TaskID | None = None
        self._run = RunProgress(console, bar)
        self._task: Task | None = None
        self._number = self._count = 0
        self._total_work = self._finished_work = self._painted_work = 0.0
        self._began = time.monotonic()

    def __call__(self, event: QueueEvent) -> None:
        """Show an event."""
        match event:
            case QueueStarted():
                self._begin(event)
            case TaskStarted():
                self._start(event)
            case TaskDone():
                self._painted_work += _work(event.task.job) if event.painted else 0
                self._end_task(event.task)
                self._print_eta()
            case TaskFailed():
                self._end_task(event.task)
                self._say(f"{event.task.label}: failed: {event.reason}")
            case QueueFinished():
                self._run.close()
                self._finish(event.report)
            case _:
                self._run(event)
                if self._task is not None:
                    work = self._run.fraction * _work(self._task.job)
                    self._advance(self._finished_work + work)

    def _say(self, message: str) -> None:
        self._run.say(message)

    def _begin(self, event: QueueStarted) -> None:
        self._count = len(event.tasks)
        self._total_work = sum(_work(task.job) for task in event.tasks)
        if event.found:
            count = event.found + self._count
            self._say(
                f"{event.found} of {count} {self._word}s found finished, {self._count} to paint"
            )
        self._began = time.monotonic()
        self._all = self._bar.add_task(f"all {self._count}", total=self._total_work, figures="")

    def _start(self, event: TaskStarted) -> None:
        reason = f" ({event.why})" if event.why else ""
        self._say(f"{self._word} {self._number + 1} of {self._count}: {event.task.label}{reason}")
        self._task = event.task

    def _end_task(self, task: Task) -> None:
        """Remove the run's bar and count the task's work as finished."""
        self._run.close()
        self._run = RunProgress(self._console, self._bar)
        self._task = None
        self._number += 1
        self._finished_work += _work(task.job)
        self._advance(self._finished_work)

    def _advance(self, work: float) -> None:
        if self._all is not None:
            self._bar.update(self._all, completed=work)

    def _print_eta(self) -> None:
        remaining = self._count - self._number
        if remaining and self._painted_work and not self._console.is_terminal:
            speed = self._painted_work / (time.monotonic() - self._began)
            seconds = (self._total_work - self._finished_work) / speed
            self._say(f"{self._number} of {self._count} done, ETA {seconds:.0f} s")

    def _finish(self, report: Report) -> None:
        if report.failed:
            self._say(f"failed {self._word}s:")
            for path, reason in report.failed.items():
                self._say(f"  {path}: {reason}")
        counts = {
            "painted": len(report.painted),
            "found finished": len(report.found),
            "failed": len(report.failed),
            "not finished": len(report.open),
        }
        summary = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        self._say(f"{self._word}s: {summary}")
        if report.interrupted:
            self._say("interrupted; the same command resumes where it stopped")


def _work(job: Job) -> float:
    width, height = job.size if isinstance(job.size, tuple) else (job.size, job.size)
    return float(width * height * job.iterations)
