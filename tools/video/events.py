"""Events of a video, for its listeners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...core.interfaces.events import Event

#: What is being done: frames read from the clip, painted, written to the output; and for a report
#: painted by themselves, and measured.
Stage = Literal["reading", "painting", "writing", "comparing", "measuring"]


@dataclass(frozen=True)
class VideoStarted:
    """Start of the painting: all frames are read.

    - `frames`: their number; `passes`: how many times each is painted.
    - `size`: (height, width) in pixels.
    - `painted`: frames that were painted before, over all passes.
    - `folder`: the work folder.
    """

    frames: int
    passes: int
    size: tuple[int, int]
    painted: int
    folder: Path


@dataclass(frozen=True)
class FrameStarted:
    """Start of a frame. `number` and `painting_pass` count from 0.

    `starts_scene`: it takes nothing over from other frames.
    """

    number: int
    painting_pass: int
    starts_scene: bool


@dataclass(frozen=True)
class FrameDone:
    """A frame was painted, in `seconds`, and is kept in `file`; `steps` were made."""

    number: int
    painting_pass: int
    seconds: float
    steps: int
    file: Path


@dataclass(frozen=True)
class StageProgress:
    """Progress of a stage but painting: `done` frames of `frames`, None if that is not known."""

    stage: Stage
    done: int
    frames: int | None


@dataclass(frozen=True)
class VideoFinished:
    """The video is written to `output`."""

    output: Path
    frames: int
    seconds: float


#: What happens in the making of a video; the events of each frame's run are among them.
VideoEvent = Event | VideoStarted | FrameStarted | FrameDone | StageProgress | VideoFinished
VideoListener = Callable[[VideoEvent], None]
