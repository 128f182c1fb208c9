"""The optimization as an MP4 film, through PyAV (the optional extra `video`)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from pydantic import Field

from ...core.errors import UsageError
from ...core.interfaces.result import Result, Snapshot
from ...core.interfaces.specs import WriterSpec
from ...core.interfaces.writer import Writer
from ..hookspecs import hookimpl
from .timelapse import TimelapseOptions, finished, frame_size, way

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_BT709 = 1
_LIMITED = 1


class MP4Options(TimelapseOptions):
    """Options of the writer `mp4`."""

    seconds: float = Field(default=10, gt=0, le=60, description="length of the way to the picture")
    fps: int = Field(default=30, ge=1, le=60, description="frames in a second")
    side: int = Field(
        default=1920, ge=16, le=3840, description="largest long side in pixels; none is made larger"
    )


class MP4Writer(Writer):
    """H.264 as every browser and telephone plays it: 4:2:0, BT.709, its index in front."""

    def __init__(self, options: MP4Options) -> None:
        try:
            import av  # noqa: F401 - a run is not begun whose film cannot be written
        except ImportError as error:
            raise UsageError(
                f".mp4 needs PyAV ({error}); install it: pip install 'stylectl[video]'"
            ) from None
        self._options = options
        self.snapshots = options.frames

    def write(
        self, result: Result, snapshots: Iterable[Snapshot], path: Path, record: dict[str, Any]
    ) -> None:
        """See Writer."""
        import av

        options = self._options
        width, height = frame_size(result, options.side)
        size = _even(width), _even(height)
        hold = max(1, round(options.hold * options.fps))
        try:
            # FFmpeg would read a name with a colon or a % as more than a name; a file is a file.
            with path.open("w+b") as file, _open(file, result) as container:
                film = _Film(container, size, options.fps)
                for frame, stays in way(snapshots, size, options.frames):
                    film.show(frame, stays)
                film.show(finished(result, size), hold)
                film.end()
        except av.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error


def _open(file: Any, result: Result) -> OutputContainer:
    import av

    container = av.open(file, "w", format="mp4", container_options={"movflags": "+faststart"})
    container.metadata["comment"] = f"stylectl {result.versions['stylectl']}"
    return container


class _Film:
    """A stream of frames, each of which may stay a while."""

    def __init__(self, container: OutputContainer, size: tuple[int, int], fps: int) -> None:
        self._container = container
        self._stream: VideoStream = container.add_stream(
            "libx264", rate=fps, options={"crf": "17", "preset": "medium"}
        )
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        codec = self._stream.codec_context
        # Said by its numbers in ITU-T H.273; sRGB is played through BT.709's curve everywhere.
        codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
        codec.color_range = _LIMITED
        self._shown = 0

    def show(self, image: Image.Image, stays: int) -> None:
        """Show an RGB image for so many frames."""
        frame = _yuv(image)
        for _ in range(stays):
            frame.pts = self._shown
            self._container.mux(self._stream.encode(frame))
            self._shown += 1

    def end(self) -> None:
        """Write what the encoder holds back."""
        self._container.mux(self._stream.encode(None))


def _yuv(image: Image.Image) -> VideoFrame:
    from av import VideoFrame

    return VideoFrame.from_ndarray(np.asarray(image), format="rgb24").reformat(
        format="yuv420p",
        dst_colorspace="ITU709",
        src_color_range="JPEG",
        dst_color_range="MPEG",
    )


def _even(side: int) -> int:
    """The even number below, from 2 on: each color sample is for 2 x 2 pixels."""
    return max(2, side - side % 2)


@hookimpl
def stylectl_writers() -> Iterable[WriterSpec]:
    """The writer `mp4`."""
    yield WriterSpec(
        name="mp4",
        summary="time-lapse of the optimization (needs the extra stylectl[video])",
        suffixes=(".mp4",),
        create=MP4Writer,
        options=MP4Options,
    )
