"""Progress of a video on stderr: the frame, frames per minute, and the time that remains."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TaskID

from ...core.interfaces.events import Notice, StepDone
from ..video.events import (
    FrameDone,
    FrameStarted,
    StageProgress,
    VideoEvent,
    VideoFinished,
    VideoStarted,
)
from .progress import RunProgress, bar_on, stderr_console

_SECONDS_BETWEEN_LINES = 5.0

#: Recent frames by whose time the rest is estimated.
_RECENT = 20


@contextmanager
def video_progress() -> Iterator[VideoProgress]:
    """Yield a listener that shows a video's events while the context is open."""
    console = stderr_console()
    with bar_on(console) as bar:
        yield VideoProgress(console, bar)


class VideoProgress:
    """Listener that shows the progress of a video."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console, self._bar = console, bar
        self._say = RunProgress(console, bar).say
        self._task: TaskID | None = None
        self._stage = ""
        self._all = self._done = 0
        self._seconds: list[float] = []
        self._frame = ""
        self._last_line = time.monotonic()

    def __call__(self, event: VideoEvent) -> None:
        """Show an event."""
        match event:
            case Notice():
                self._say(event.message)
            case StageProgress():
                self._show_stage(event)
            case VideoStarted():
                self._start(event)
            case FrameStarted():
                new = " (a scene begins)" if event.starts_scene else ""
                self._frame = f"frame {event.number + 1}{new}"
            case StepDone():
                self._show_step(event)
            case FrameDone():
                self._end_frame(event)
            case VideoFinished():
                frames = "frame" if event.frames == 1 else "frames"
                minutes = event.seconds / 60
                time_taken = f"{minutes:.1f} min" if minutes >= 2 else f"{event.seconds:.0f} s"
                self._say(f"{event.frames} {frames} in {time_taken}")

    def _start(self, event: VideoStarted) -> None:
        self._all, self._done = event.frames * event.passes, event.painted
        height, width = event.size
        passes = f" in {event.passes} passes" if event.passes > 1 else ""
        painted = f", {event.painted} of them painted before" if event.painted else ""
        self._say(f"{event.frames} frames of {width}x{height} px{passes}{painted}")
        self._say(f"finished frames are kept in {event.folder}")
        self._new_bar("painting", self._all, self._done)

    def _show_stage(self, event: StageProgress) -> None:
        if event.stage != self._stage:
            self._stage = event.stage
            self._new_bar(event.stage, event.frames, 0)
        self._bar.update(self._bar_task, completed=event.done)
        self._print_line(f"{event.stage} frame {event.done}")

    def _show_step(self, event: StepDone) -> None:
        self._bar.update(self._bar_task, figures=f"{self._frame}  loss {event.loss:.4g}")
        self._print_line(f"{self._frame}: loss {event.loss:.4g}{self._eta()}")

    def _end_frame(self, event: FrameDone) -> None:
        self._done += 1
        self._seconds = [*self._seconds, event.seconds][-_RECENT:]
        self._bar.update(self._bar_task, completed=self._done)
        self._print_line(f"{self._done} of {self._all} frames{self._eta()}")

    def _eta(self) -> str:
        if not self._seconds:
            return ""
        seconds = sum(self._seconds) / len(self._seconds)
        minutes = seconds * (self._all - self._done) / 60
        return f", {60 / max(seconds, 1e-3):.1f} frames per minute, ETA {minutes:.0f} min"

    def _print_line(self, text: str) -> None:
        now = time.monotonic()
        if self._console.is_terminal or now - self._last_line < _SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        self._say(text)

    def _new_bar(self, word: str, total: int | None, done: int) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(word, total=total, completed=done, figures="")

    @property
    def _bar_task(self) -> TaskID:
        assert self._task is not None
        return self._task
