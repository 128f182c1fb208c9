"""Numbered images as a clip, by the project's own reader of images."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from ....core.errors import ImageError, UsageError
from ....core.fingerprint import fingerprint
from ....core.images.decoding import read_image
from ....core.images.files import file_sha256, images_in, is_folder
from ....core.images.reduction import FrameOfClip
from ....core.interfaces.source_image import SourceImage
from ..source import Clip, ClipInfo, ClipOptions, most_frames, seconds_taken
from ..timing import Decoded, Pixels, Selection, decimal, rate

_DEFAULT_FPS = Fraction(25)
_PRINTF = re.compile(r"%(0?)(\d*)d")
_NUMBER = re.compile(r"(.*?)(\d+)(\D*)")


def is_sequence(path: str) -> bool:
    """Return whether a path is a folder, or a pattern and no file."""
    if is_folder(path):
        return True
    name = Path(path).name
    is_pattern = _PRINTF.search(name) or any(sign in name for sign in "*?[")
    return bool(is_pattern) and not Path(path).is_file()


class ImageSequence(Clip):
    """Numbered images of one size, in the order of their numbers, none of which is missing."""

    def __init__(self, path: str, options: ClipOptions) -> None:
        super().__init__(path, options)
        if options.deinterlace:
            raise UsageError(f"{path}: `deinterlace` has no effect: these are images")
        self._files = numbered_files(path)
        self._fps = rate(options.fps) if options.fps else _DEFAULT_FPS
        duration = len(self._files) / self._fps
        first = self._image(self._files[0])
        self._size = first.rgb.size
        seconds = seconds_taken(options, duration)
        assert seconds is not None
        self._info = ClipInfo(
            width=self._size[0],
            height=self._size[1],
            frames=most_frames(seconds, self._fps / options.every),
            fps=self._fps / options.every,
            duration=float(seconds),
            has_alpha=first.alpha is not None,
            kind="images",
            notices=first.notices,
        )

    @property
    def info(self) -> ClipInfo:
        """See Clip.info."""
        return self._info

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint([(file.name, file_sha256(str(file))) for file in self._files])

    def fingerprint(self) -> str:
        """Return a hash of the files' names and bytes."""
        return self._fingerprint

    @property
    def _selection(self) -> Selection:
        options, gap = self.options, 1 / self._fps
        return Selection(
            tick=gap / 1000,
            gap=gap,
            start=decimal(options.start) or Fraction(0),
            end=decimal(options.end),
            every=options.every,
        )

    def _decoded(self) -> Iterator[Decoded]:
        for index, file in enumerate(self._files):
            yield Decoded(index / self._fps, 1 / self._fps, partial(self._pixels, file))

    def _pixels(self, file: Path) -> Pixels:
        image = self._image(file)
        if image.rgb.size != self._size:
            raise ImageError(
                f"{file}: {image.rgb.width}x{image.rgb.height} px, and the first image has "
                f"{self._size[0]}x{self._size[1]}"
            )
        alpha = image.alpha
        return (
            np.asarray(image.rgb).astype(np.float32) / np.float32(255),
            None if alpha is None else np.asarray(alpha).astype(np.float32) / np.float32(255),
        )

    def _image(self, file: Path) -> SourceImage:
        return read_image(str(file), self.options.max_pixels, use=FrameOfClip())


def numbered_files(path: str) -> list[Path]:
    """Return the images of a folder or a pattern, in the order of their numbers.

    Raises UsageError if there are none, if one has no number, or if a number is missing or is there
    twice.
    """
    if is_folder(path):
        files = images_in(Path(path))
    elif match := _PRINTF.search(Path(path).name):
        files = _matching(Path(path), match)
    else:
        files = [Path(name) for name in glob.glob(path) if Path(name).is_file()]  # noqa: PTH207
    if not files:
        raise UsageError(f"{path}: no numbered image there that stylectl reads")
    numbers: dict[int, Path] = {}
    for file in sorted(files):
        match = _NUMBER.fullmatch(file.stem[::-1])
        if match is None:
            raise UsageError(f"{path}: {file.name} has no number, and the frames are numbered")
        number = int(match[2][::-1])
        if number in numbers:
            raise UsageError(
                f"{path}: {numbers[number].name} and {file.name} have the same number; name one "
                "series by a pattern, such as frames/%05d.png"
            )
        numbers[number] = file
    order = sorted(numbers)
    for before, after in pairwise(order):
        if after != before + 1:
            raise UsageError(
                f"{path}: the frame of number {before + 1} is missing, after "
                f"{numbers[before].name}; the frames must be numbered without gaps"
            )
    return [numbers[number] for number in order]


def _matching(pattern: Path, match: re.Match[str]) -> list[Path]:
    """Return the files of a printf pattern, such as frames/%05d.png."""
    width = int(match[2] or 1)
    digits = rf"(?:\d{{{width}}}|[1-9]\d{{{width},}})" if match[1] else r"\d+"
    before, after = pattern.name[: match.start()], pattern.name[match.end() :]
    name = re.compile(re.escape(before) + digits + re.escape(after))
    if not pattern.parent.is_dir():
        raise UsageError(f"{pattern}: there is no folder {pattern.parent}")
    return [file for file in pattern.parent.iterdir() if name.fullmatch(file.name)]
