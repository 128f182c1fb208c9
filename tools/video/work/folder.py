"""The work folder of a video: its frames, flows and results, from which a later run goes on.

It has a folder for each video that was made in it, named by a hash of all that determines the
frames, so that other settings never meet the frames of former ones::

    OUT.work/3f2a9c0d1b7e/
        video.json                    the conditions of the last run
        clip/frames.json              times of the frames, written when all of them are there
        clip/000012.png               frames of the clip at the result's size, in 8 bits
        masks/0/000012.png            frames of a mask
        flows/000012-000011.png       flow of a frame to another one, and where it is reliable
        results/1/000012.png          finished frames of a pass, in 16 bits
        single/000012.png             frames painted by themselves, for the report
        checkpoints/                  of the frame in progress
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import Timeout

from ....core.errors import OutputError, UsageError
from ....core.leftovers import held_lock
from .pictures import replace_file

_DIGITS = 6


@dataclass(frozen=True)
class FrameTime:
    """Time of a frame, and how long it is shown, in seconds from the first frame."""

    time: float
    duration: float


@dataclass(frozen=True)
class FrameTable:
    """Frames of a clip as they were read: their times, and what was said about them."""

    times: tuple[FrameTime, ...]
    problems: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.times)


class WorkFolder:
    """Paths in the work folder of one video."""

    def __init__(self, parent: Path, identity: str) -> None:
        """Use the folder of a video in `parent`; `identity` is the hash of the video."""
        self.path = parent / identity[:12]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and keep other processes from using it.

        Raises OutputError if it cannot be made, and UsageError if another process uses it.
        """
        try:
            for part in ("clip", "flows", "results"):
                (self.path / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.path}: the work folder cannot be made ({error.strerror})"
            ) from None
        try:
            with held_lock(self.path / ".lock"):
                yield
        except Timeout:
            raise UsageError(f"{self.path}: another process is making this video") from None

    def clip(self, source: str = "clip") -> Path:
        """Return the folder of the frames of the clip, or of a mask (``masks/0``)."""
        return self.path / source

    def frame(self, number: int, source: str = "clip") -> Path:
        """Return the file of a frame of the clip, or of a mask."""
        return self.clip(source) / f"{_name(number)}.png"

    def flow(self, number: int, former: int) -> Path:
        """Return the file of the flow of a frame to another one."""
        return self.path / "flows" / f"{_name(number)}-{_name(former)}.png"

    def result(self, number: int, painting_pass: int) -> Path:
        """Return the file of a frame's result in a pass, from 0."""
        return self.path / "results" / str(painting_pass + 1) / f"{_name(number)}.png"

    def single(self, number: int) -> Path:
        """Return the file of a frame's result where it is painted by itself."""
        return self.path / "single" / f"{_name(number)}.png"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints of the frame in progress."""
        return self.path / "checkpoints"

    def read_table(self, source: str = "clip") -> FrameTable | None:
        """Return the frames of the clip or of a mask, or None if they were not all read."""
        values = _read_json(self.clip(source) / "frames.json")
        if values is None:
            return None
        times = tuple(FrameTime(*time) for time in values["times"])
        return FrameTable(times, tuple(values["problems"]))

    def write_table(self, table: FrameTable, source: str = "clip") -> None:
        """State that all frames of the clip or of a mask were read."""
        times = [[*asdict(time).values()] for time in table.times]
        values = {"times": times, "problems": list(table.problems)}
        replace_file(self.clip(source) / "frames.json", json.dumps(values).encode())

    def read_state(self) -> Mapping[str, Any]:
        """Return what the last run stated: its conditions."""
        return _read_json(self.path / "video.json") or {}

    def write_state(self, state: Mapping[str, Any]) -> None:
        """State the conditions of this run."""
        replace_file(self.path / "video.json", json.dumps(state, indent=1).encode())


def _name(number: int) -> str:
    return f"{number:0{_DIGITS}}"


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: cannot be read ({error}); delete it to start anew") from None
    return values if isinstance(values, dict) else None
