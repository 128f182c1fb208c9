"""A clip to read: its options, what is known of it, and its frames."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

from ...core.errors import ImageError, UsageError
from ...core.job.model import DEFAULT_MAX_PIXELS
from .timing import Decoded, Selection, Taken, decimal, taken

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["video", "animation", "images"]


@dataclass(frozen=True)
class ClipOptions:
    """Part of a clip that is read.

    - `start`, `end`: seconds from the clip's first frame. The frames whose timestamps lie in
      [start, end) are taken; timestamps are compared to within half a tick of the clip's clock.
    - `every`: the first of every so many of these frames is taken.
    - `fps`: a constant rate: at each k / fps the frame that is shown then is taken, so that frames
      are left out or repeated. Of numbered images it is the rate at which they were taken (25 by
      default), and all are taken.
    - `deinterlace`: full frames are computed from the half images of an interlaced clip.
    - `max_pixels`: the most pixels of a frame.

    Raises UsageError for a value that makes no sense, and for `every` with `fps`.
    """

    start: float | None = None
    end: float | None = None
    every: int = 1
    fps: float | None = None
    deinterlace: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UsageError(f"`{name}={value}`: seconds from the clip's first frame, from 0")
        if self.end is not None and self.end <= (self.start or 0):
            raise UsageError(f"`end={self.end}` is not after `start={self.start or 0}`")
        if self.every < 1:
            raise UsageError(f"`every={self.every}`: 1 takes all frames, 2 every second one")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise UsageError(f"`fps={self.fps}`: frames per second, above 0 and at most 1000")
        if self.fps is not None and self.every != 1:
            raise UsageError("`every` and `fps` exclude each other")


@dataclass(frozen=True)
class ClipInfo:
    """A clip, as far as it is known before it is read.

    - `width`, `height`: pixels of the upright frames.
    - `frames`, `fps`, `duration`: number of the frames that are taken, their nominal rate and their
      seconds; estimates, None where the clip does not state them.
    - `notices`: how the clip is read, for the user.
    """

    width: int
    height: int
    frames: int | None
    fps: Fraction | None
    duration: float | None
    has_alpha: bool
    kind: Kind
    has_audio: bool = False
    has_subtitles: bool = False
    has_chapters: bool = False
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """A frame of a clip.

    - `index`: number among the frames that are taken, from 0.
    - `time`, `duration`: seconds from the first frame that is taken, and until the next one.
    - `pixels`: (H, W, 3), float32 in [0, 1], sRGB-encoded.
    - `alpha`: (H, W), float32 in [0, 1], unassociated; None for an opaque clip.
    """

    index: int
    time: float
    duration: float
    pixels: np.ndarray
    alpha: np.ndarray | None


class Clip(ABC):
    """A clip whose frames can be read, several times if wanted; a context manager."""

    def __init__(self, path: str, options: ClipOptions) -> None:
        self.path = path
        self.options = options
        self._problems: list[str] = []

    @property
    @abstractmethod
    def info(self) -> ClipInfo:
        """Description of the clip, as far as it is known before it is read."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hash of the content of the clip's files, and of the names of several."""

    @abstractmethod
    def _decoded(self) -> Iterator[Decoded]:
        """Yield all frames in the order of their times, the first at 0.

        Raises ImageError where the clip is damaged or changes.
        """

    @property
    @abstractmethod
    def _selection(self) -> Selection:
        """Frames that are taken."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Notices about the last reading, such as of a damaged end."""
        return tuple(self._problems)

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Yield the frames that are taken, from the one of number `first`.

        A frame has the same pixels whatever `first` is. A clip that is damaged, or whose frames
        change their size, ends there, and `problems` says so. Raises ImageError for a clip of which
        no frame can be read, and UsageError if none is taken.
        """
        self._problems.clear()
        for index, item in enumerate(self._taken()):
            if index < first:
                continue
            try:
                pixels, alpha = item.decoded.read()
            except ImageError as error:
                if index == 0:
                    raise
                self._stop(index, error)
                return
            alpha = self._regular_alpha(index, pixels, alpha)
            yield Frame(index, float(item.time), float(item.duration), pixels, alpha)

    def _regular_alpha(
        self, index: int, pixels: np.ndarray, alpha: np.ndarray | None
    ) -> np.ndarray | None:
        """Return alpha for all frames of a clip with transparency, and for none of another."""
        import numpy as np

        if self.info.has_alpha:
            return np.ones(pixels.shape[:2], np.float32) if alpha is None else alpha
        if alpha is not None and not any("transparency" in text for text in self._problems):
            self._problems.append(
                f"{self.path}: the transparency of frame {index + 1} is ignored, since the first "
                "frame has none"
            )
        return None

    @cached_property
    def first_time(self) -> Fraction:
        """Seconds from the clip's first frame to the first frame that is taken.

        Raises what `frames` raises.
        """
        if not self.options.start:
            return Fraction(0)
        for item in self._taken():
            return item.decoded.time
        raise AssertionError  # _taken raises if there is none

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:  # noqa: B027 - nothing stays open between readings
        pass

    def _taken(self) -> Iterator[Taken]:
        nothing = True
        for item in taken(self._up_to_damage(), self._selection):
            nothing = False
            yield item
        if nothing:
            raise UsageError(f"{self.path}: {self._nothing()}")

    def _nothing(self) -> str:
        start, end = self.options.start, self.options.end
        if self._problems:
            return f"no frame can be read from {start or 0} s on: {self._problems[-1]}"
        return (
            f"no frame between `start={start or 0}` and "
            f"{'its end' if end is None else f'`end={end}`'}"
        )

    def _up_to_damage(self) -> Iterator[Decoded]:
        count = 0
        try:
            for decoded in self._decoded():
                yield decoded
                count += 1
        except ImageError as error:
            if count == 0:
                raise
            self._stop(count, error)

    def _stop(self, count: int, error: ImageError) -> None:
        reason = str(error).removeprefix(f"{self.path}: ")
        self._problems.append(
            f"{self.path}: the clip ends after frame {count} of it: {reason}; "
            "the frames before are used"
        )


def seconds_taken(options: ClipOptions, duration: Fraction | None) -> Fraction | None:
    """Return the seconds between `start` and `end` of a clip of this duration, if known."""
    end = decimal(options.end)
    if end is None or (duration is not None and duration < end):
        end = duration
    return None if end is None else max(Fraction(0), end - (decimal(options.start) or 0))


def most_frames(seconds: Fraction | None, fps: Fraction | None) -> int | None:
    """Return about how many frames begin within the seconds, if both are known."""
    if not seconds or not fps:
        return None
    return max(1, math.ceil(seconds * fps - Fraction(1, 100)))


def open_clip(path: str, options: ClipOptions | None = None) -> Clip:
    """Open a video, an animated image, a folder of numbered images, or a pattern of their names.

    A pattern has a printf number (``frames/%05d.png``) or wildcards (``frames/*.png``). Raises
    UsageError for a path that is not there or is no clip, and ImageError for one that cannot be
    used: damaged, without frames, too large, interlaced, HDR.
    """
    options = options or ClipOptions()
    clip = _clip(path, options)
    if options.start:
        _ = clip.first_time  # raises if no frame is there
    return clip


def _clip(path: str, options: ClipOptions) -> Clip:
    from .reading.image_sequence import ImageSequence, is_sequence

    if is_sequence(path):
        return ImageSequence(path, options)
    from .pyav import head_of
    from .reading.animation import Animation, is_animation

    if is_animation(head_of(path, 16)):
        return Animation(path, options)
    from .reading.video_file import VideoFile

    return VideoFile(path, options)
