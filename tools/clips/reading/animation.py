"""Animated GIF, WebP and PNG, by Pillow, within the project's limits."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial

import numpy as np
from PIL import Image

from ....core.errors import ImageError, StylectlError, UsageError
from ....core.images.files import open_file
from ....core.images.formats.limits import Limits
from ....core.images.formats.pillow_limits import unlimited_pillow
from ....core.images.formats.strips import Strips
from ..source import Clip, ClipInfo, ClipOptions, most_frames, seconds_taken
from ..timing import Decoded, Pixels, Selection, decimal, rate

_SIGNATURES = (b"GIF87a", b"GIF89a", b"\x89PNG\r\n\x1a\n")
_FORMATS = ("GIF", "WEBP", "PNG")
#: Browsers show a frame of less than 20 ms for 100 ms.
_LEAST, _INSTEAD = 20, 100
_MILLISECOND = Fraction(1, 1000)
_BYTES_PER_PIXEL = 40


def is_animation(head: bytes) -> bool:
    """Return whether a file that begins so is a GIF, a WebP or a PNG."""
    return head.startswith(_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


@dataclass(frozen=True)
class _Outline:
    """Outline of an animation, by a first reading; durations are in seconds."""

    size: tuple[int, int]
    durations: tuple[Fraction, ...]
    has_alpha: bool
    sha256: str


class Animation(Clip):
    """An animated image; it is read once when it is opened, for its frames' durations."""

    def __init__(self, path: str, options: ClipOptions) -> None:
        super().__init__(path, options)
        if options.deinterlace:
            raise UsageError(f"{path}: `deinterlace` has no effect: it is an animated image")
        self._outline = self._look()

    @cached_property
    def info(self) -> ClipInfo:
        """See Clip.info."""
        durations, options = self._outline.durations, self.options
        total = sum(durations, Fraction(0))
        fps = rate(options.fps) if options.fps else len(durations) / total / options.every
        seconds = seconds_taken(options, total)
        assert seconds is not None
        width, height = self._outline.size
        return ClipInfo(
            width=width,
            height=height,
            frames=most_frames(seconds, fps),
            fps=fps,
            duration=float(seconds),
            has_alpha=self._outline.has_alpha,
            kind="animation",
            notices=tuple(self._problems),
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file."""
        return self._outline.sha256

    @property
    def _selection(self) -> Selection:
        options = self.options
        return Selection(
            tick=_MILLISECOND,
            gap=self._outline.durations[-1],
            start=decimal(options.start) or Fraction(0),
            end=decimal(options.end),
            every=options.every,
            fps=None if options.fps is None else rate(options.fps),
        )

    def _look(self) -> _Outline:
        durations: list[Fraction] = []
        has_alpha = False
        size = (0, 0)
        try:
            for image, duration in self._images():
                size = image.size
                has_alpha = has_alpha or Strips(image, full_range=True).has_alpha
                durations.append(duration)
        except ImageError as error:
            if not durations:
                raise
            self._stop(len(durations), error)
        if len(durations) < 2 and not self._problems:
            raise UsageError(f"{self.path}: one image, and no clip; `stylectl run` takes it")
        with open_file(self.path) as (_, sha256):
            return _Outline(size, tuple(durations), has_alpha, sha256)

    def _decoded(self) -> Iterator[Decoded]:
        time = Fraction(0)
        for image, duration in self._images():
            yield Decoded(time, duration, partial(_pixels, image))
            time += duration

    def _images(self) -> Iterator[tuple[Image.Image, Fraction]]:
        """Yield each frame with its seconds. Raises ImageError for a damaged one."""
        limits = Limits(self.options.max_pixels)
        with open_file(self.path) as (file, _), _quiet():
            try:
                with Image.open(file, formats=_FORMATS) as image:
                    limits.check_pixels(self.path, *image.size)
                    needed = _BYTES_PER_PIXEL * image.width * image.height
                    limits.check_memory(self.path, *image.size, needed)
                    # An APNG may have a still image for programs that know no animation.
                    first = 1 if getattr(image, "default_image", False) else 0
                    for index in range(first, getattr(image, "n_frames", 1)):
                        image.seek(index)
                        image.load()
                        yield image.copy(), _seconds(image)
            except StylectlError:
                raise
            except Exception as error:  # a decoder may raise anything on a damaged file
                raise ImageError(f"{self.path}: the next one is damaged ({error})") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Switch off Pillow's limit on pixels, which is checked here, and its warnings."""
    with unlimited_pillow(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _seconds(image: Image.Image) -> Fraction:
    milliseconds = Fraction(repr(image.info.get("duration") or 0))
    return (milliseconds if milliseconds >= _LEAST else Fraction(_INSTEAD)) * _MILLISECOND


def _pixels(image: Image.Image) -> Pixels:
    strips = Strips(image, full_range=True)
    alpha = strips.all_alpha()
    return (
        np.asarray(strips.all_rgb()).astype(np.float32) / np.float32(255),
        None if alpha is None else np.asarray(alpha).astype(np.float32) / np.float32(255),
    )
