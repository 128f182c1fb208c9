"""Times of frames, and the choice of those that are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: Pixels (H, W, 3) and alpha (H, W) or None, as in `Frame`.
Pixels = tuple["np.ndarray", "np.ndarray | None"]


@dataclass(frozen=True)
class Decoded:
    """A frame of the clip's own, whose pixels are not converted yet.

    - `time`: seconds from the clip's first frame.
    - `duration`: seconds that it is shown; None if the clip does not state them.
    - `read`: returns the pixels.
    """

    time: Fraction
    duration: Fraction | None
    read: Callable[[], Pixels]


@dataclass(frozen=True)
class Taken:
    """A frame that is taken, with seconds from the first such frame and until the next one."""

    decoded: Decoded
    time: Fraction
    duration: Fraction


@dataclass(frozen=True)
class Selection:
    """Frames that are taken, as in `ClipOptions`.

    - `tick`: seconds of the clip's clock; timestamps are compared to within half of it.
    - `gap`: seconds that a frame is shown where nothing else is known.
    """

    tick: Fraction
    gap: Fraction
    start: Fraction = Fraction(0)
    end: Fraction | None = None
    every: int = 1
    fps: Fraction | None = None


def decimal(value: float | None) -> Fraction | None:
    """Return the number as it is written in decimals: 0.1 is a tenth."""
    return None if value is None else Fraction(repr(value))


def rate(value: float) -> Fraction:
    """Return a rate in frames per second: 29.97 is 30000/1001, as NTSC's rates are written."""
    exact = Fraction(repr(value))
    ntsc = Fraction(round(value) * 1000, 1001)
    return ntsc if exact.denominator > 1 and abs(ntsc - exact) < Fraction(1, 100) else exact


def taken(frames: Iterable[Decoded], selection: Selection) -> Iterator[Taken]:
    """Yield the frames that are taken, in order."""
    if selection.fps is None:
        return _every(_between(frames, selection), selection)
    return _resampled(_between(frames, selection), selection, selection.fps)


@dataclass(frozen=True)
class _Shown:
    """A frame between `start` and `end`, and the time at which it is no longer shown."""

    decoded: Decoded
    until: Fraction


def _between(frames: Iterable[Decoded], selection: Selection) -> Iterator[_Shown]:
    half = selection.tick / 2
    end = selection.end
    held: Decoded | None = None
    for frame in frames:
        if frame.time < selection.start - half:
            continue
        if end is not None and frame.time >= end - half:
            if held:
                yield _Shown(held, end)
            return
        if held:
            yield _Shown(held, frame.time)
        held = frame
    if held:
        until = held.time + (held.duration or selection.gap)
        yield _Shown(held, until if end is None else min(until, end))


def _every(frames: Iterable[_Shown], selection: Selection) -> Iterator[Taken]:
    first: _Shown | None = None
    held: _Shown | None = None
    until = Fraction(0)
    for number, frame in enumerate(frames):
        first = first or frame
        if number % selection.every == 0:
            if held:
                yield _taken(held, first, frame.decoded.time)
            held = frame
        until = frame.until
    if held and first:
        yield _taken(held, first, until)


def _taken(frame: _Shown, first: _Shown, until: Fraction) -> Taken:
    return Taken(frame.decoded, frame.decoded.time - first.decoded.time, until - frame.decoded.time)


def _resampled(frames: Iterable[_Shown], selection: Selection, fps: Fraction) -> Iterator[Taken]:
    """Yield the frame that is shown at each k / fps, counted from the first."""
    half = selection.tick / 2
    origin: Fraction | None = None
    number = 0
    for frame in frames:
        origin = frame.decoded.time if origin is None else origin
        while number / fps < frame.until - origin - half:
            yield Taken(frame.decoded, number / fps, 1 / fps)
            number += 1
