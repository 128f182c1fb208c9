"""Progress of a run on stderr: a bar in a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ...core.interfaces.events import (
    Event,
    Notice,
    RunFinished,
    RunStarted,
    ScaleSettled,
    StepDone,
)
from ...core.job.paths import SAMPLES
from ...core.shown import one_line
from ...core.sizes.pyramid import Scale
from .messages import with_flags

_SECONDS_BETWEEN_LINES = 5.0
#: Longest message, in characters.
_LONGEST = 2000


@contextmanager
def progress() -> Iterator[RunProgress]:
    """Yield a listener that shows a run's events while the context is open."""
    console = stderr_console()
    with bar_on(console) as bar:
        yield RunProgress(console, bar)


def stderr_console() -> Console:
    """Return a console on stderr that shows text as it is."""
    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def bar_on(console: Console) -> Progress:
    """Return a display of progress bars, whose tasks have the field `figures`.

    Nothing is displayed unless in a terminal.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%  {task.fields[figures]}"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(elapsed_when_finished=False),
        console=console,
        disable=not console.is_terminal,
        # The last minute's speed: a step's time per unit of work changes little between scales.
        speed_estimate_period=60,
    )


class RunProgress:
    """Listener that shows the progress of a run.

    Work is counted in pixels times steps, so that the ETA includes the cost of the finer scales.
    """

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console, self._bar = console, bar
        self._scales: tuple[Scale, ...] = ()
        self._last_step = (0, 0, 0.0)
        self._last_line = time.monotonic()
        self._task: TaskID | None = None
        #: Share of the work that is done, in [0, 1].
        self.fraction = 0.0

    def say(self, message: str) -> None:
        """Print one line, above the bar if there is one."""
        self._console.print(f"stylectl: {one_line(with_flags(message), _LONGEST)}")

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case RunStarted():
                self._start(event)
            case StepDone():
                self._step(event)
            case ScaleSettled():
                self.say(
                    f"the loss at {max(event.scale.size)} px does not change any more: its steps "
                    f"end after {event.step} of {event.scale.steps} (`least_change`)"
                )
            case Notice():
                self.say(event.message)
            case RunFinished() if event.result.interrupted:
                self._say_stopped(event)

    def close(self) -> None:
        """Remove the bar."""
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None

    def _start(self, event: RunStarted) -> None:
        if event.job.content is not None and all(path in SAMPLES for path in event.job.input_paths):
            self.say("no images given: painting the sample pair that ships with stylectl")
        self._scales = event.scales
        last = event.scales[-1]
        sizes = " -> ".join(str(max(scale.size)) for scale in event.scales)
        self.say(
            f"{last.width}x{last.height} px in {sum(scale.steps for scale in event.scales)} steps "
            f"({sizes}), {event.job.backend.name} on {event.device}{_in_words(event.details)}"
        )
        work = sum(scale.pixels * scale.steps for scale in event.scales)
        self._task = self._bar.add_task("painting", total=work, figures="")

    def _say_stopped(self, event: RunFinished) -> None:
        result, parts = event.result, ["stopped"]
        if isinstance(result.stopped_by, KeyboardInterrupt):
            parts = [f"stopped by {result.stop_reason}"]
        if event.outputs:
            height, width = result.image.shape[:2]
            files = ", ".join(str(path) for path in event.outputs)
            parts.append(f"the result so far, {width}x{height} px, is kept in {files}")
        if event.checkpoint is not None:
            parts.append(f"the same command resumes after step {event.checkpoint}")
        self.say("; ".join(parts))

    def _step(self, event: StepDone) -> None:
        current = self._scales[event.scale]
        figures = f"{current.width}x{current.height}  loss {event.loss:.4g}"
        last_scale, last_step, last_seconds = self._last_step
        if event.scale == last_scale and event.step > last_step:
            figures += f"  {event.seconds - last_seconds:.2f} s/step"
        self._last_step = (event.scale, event.step, event.seconds)
        finished = sum(scale.pixels * scale.steps for scale in self._scales[: event.scale])
        done = finished + current.pixels * event.step
        self.fraction = done / sum(scale.pixels * scale.steps for scale in self._scales)
        if self._task is not None:
            self._bar.update(self._task, completed=done, figures=figures)
        self._print_line(event, figures)

    def _print_line(self, event: StepDone, figures: str) -> None:
        now = time.monotonic()
        if self._console.is_terminal or now - self._last_line < _SECONDS_BETWEEN_LINES:
            return
        if not self.fraction:
            return
        self._last_line = now
        remaining = event.seconds * (1 - self.fraction) / self.fraction
        self.say(f"{self.fraction:4.0%}  {figures}  ETA {remaining:.0f} s")


def _in_words(details: Mapping[str, str]) -> str:
    return "".join(f"; {name.replace('_', ' ')}: {value}" for name, value in details.items())
