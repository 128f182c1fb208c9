"""Time-lapse of the optimization as an animated GIF, through Pillow."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from PIL import Image
from pydantic import Field

from ...core.interfaces.result import Result
from ...core.interfaces.specs import WriterArguments, WriterSpec
from ...core.interfaces.writer import Writer, WriteRequest
from .. import hooks
from .timelapse import TimelapseOptions, finished, frame_size, way

#: Palette index of transparent pixels.
_CLEAR = 255


class GIFOptions(TimelapseOptions):
    """Options of the writer `gif`.

    The limits are such that all frames fit the memory: Pillow collects them before it writes.
    """

    seconds: float = Field(
        default=6, gt=0, le=60, description="seconds from the first frame to the result"
    )
    fps: int = Field(default=12, ge=1, le=50, description="frames per second")
    side: int = Field(
        default=480, ge=16, le=1920, description="largest long side in pixels; no frame is enlarged"
    )


class GIFWriter(Writer):
    """Animation that plays for ever, each frame with a palette of its own.

    Pixels are either opaque or fully transparent.
    """

    def __init__(self, arguments: WriterArguments[GIFOptions]) -> None:
        self._options = arguments.options
        self.snapshots = arguments.options.frames

    def write(self, request: WriteRequest) -> None:
        """See Writer.write."""
        result, snapshots, path = request.result, request.snapshots, request.path
        options = self._options
        size = frame_size(result, options.side)
        clear = _clear_pixels(result, size)
        frames, ends = [], [0]  # ends are counted in frames of 1 / fps
        for frame, repeats in way(snapshots, size, options.frames):
            frames.append(_paletted(frame, clear))
            ends.append(ends[-1] + repeats)
        frames.append(_paletted(finished(result, size), clear, kmeans=1))
        ends.append(ends[-1] + max(1, round(options.hold * options.fps)))
        # GIF counts hundredths of a second: the ends are rounded, so that errors do not add up.
        ticks = [round(100 * end / options.fps) for end in ends]
        durations = [10 * (end - start) for start, end in pairwise(ticks)]
        frames[0].save(
            path,
            "GIF",
            save_all=True,
            append_images=frames[1:],
            duration=durations,
            loop=0,
            comment=f"stylectl {result.versions['stylectl']}".encode(),
            **({} if clear is None else {"transparency": _CLEAR, "disposal": 2}),
        )


def _clear_pixels(result: Result, size: tuple[int, int]) -> Image.Image | None:
    """Mask of the result's pixels with an alpha below 0.5: 255 there, 0 elsewhere."""
    if result.alpha is None:
        return None
    clear = Image.fromarray(((result.alpha < 0.5) * 255).astype("uint8"))
    return clear.resize(size, Image.Resampling.NEAREST)


def _paletted(frame: Image.Image, clear: Image.Image | None, kmeans: int = 0) -> Image.Image:
    """Convert a frame to a palette of its own; pixels of the mask `clear` become transparent.

    `kmeans` keeps vivid colors but is slow: it is for the last frame, which is shown longest.
    """
    paletted = frame.quantize(256 if clear is None else _CLEAR, kmeans=kmeans)
    if clear is not None:
        paletted.paste(_CLEAR, mask=clear)
    return paletted


@hooks.writers
def writers() -> Iterable[WriterSpec[Any]]:
    """Yield the writer `gif`."""
    yield WriterSpec(
        name="gif",
        summary="time-lapse of the optimization",
        suffixes=(".gif",),
        create=GIFWriter,
        options=GIFOptions,
        keeps_alpha=True,
    )
