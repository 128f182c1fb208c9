"""Time-lapse of the optimization as an MP4 film, through PyAV (the optional extra `video`)."""

from __future__ import annotations

from collections.abc import Iterable
from io import FileIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from pydantic import Field

from ...core.errors import UsageError
from ...core.interfaces.result import Result
from ...core.interfaces.specs import WriterArguments, WriterSpec
from ...core.interfaces.writer import Writer, WriteRequest
from .. import hooks
from .timelapse import TimelapseOptions, finished, frame_size, way

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_BT709 = 1
_LIMITED = 1


class MP4Options(TimelapseOptions):
    """Options of the writer `mp4`."""

    seconds: float = Field(
        default=10, gt=0, le=60, description="seconds from the first frame to the result"
    )
    fps: int = Field(default=30, ge=1, le=60, description="frames per second")
    side: int = Field(
        default=1920,
        ge=16,
        le=3840,
        description="largest long side in pixels; no frame is enlarged",
    )


class MP4Writer(Writer):
    """H.264 film that every browser and telephone plays: 4:2:0, BT.709, the index in front."""

    def __init__(self, arguments: WriterArguments[MP4Options]) -> None:
        try:
            import av  # noqa: F401 - imported here, so that a missing PyAV stops before the run
        except ImportError as error:
            raise UsageError(
                f".mp4 needs PyAV ({error}); install it: pip install 'stylectl[video]'"
            ) from None
        self._options = arguments.options
        self.snapshots = arguments.options.frames

    def write(self, request: WriteRequest) -> None:
        """See Writer.write."""
        result, snapshots, path = request.result, request.snapshots, request.path
        import av

        options = self._options
        width, height = frame_size(result, options.side)
        size = _even(width), _even(height)
        hold = max(1, round(options.hold * options.fps))
        try:
            # An open file, not its name: FFmpeg would interpret a colon or a % in the name.
            with path.open("w+b", buffering=0) as opened:
                file = _File(opened)
                with _open(file, result) as container:
                    film = _Film(container, size, options.fps)
                    for frame, repeats in way(snapshots, size, options.frames):
                        film.show(frame, repeats)
                    film.show(finished(result, size), hold)
                    film.end()
        except av.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error
        if file.failure is not None:
            raise file.failure


class _File:
    """File for FFmpeg, which remembers the first error of a write.

    An error in FFmpeg's calls would be printed by PyAV, and raised as another one.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.failure: OSError | None = None
        self.name = file.name  # FFmpeg opens it again to move the index to the front
        self.read, self.seek, self.tell = file.read, file.seek, file.tell

    def write(self, data: bytes) -> int:
        """Write all of the data, unless a former write failed."""
        rest = memoryview(data)
        try:
            while rest and self.failure is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.failure = error
        return len(data)


def _open(file: Any, result: Result) -> OutputContainer:
    import av

    container = av.open(file, "w", format="mp4", container_options={"movflags": "+faststart"})
    container.metadata["comment"] = f"stylectl {result.versions['stylectl']}"
    return container


class _Film:
    """Video stream whose frames may each be shown several times."""

    def __init__(self, container: OutputContainer, size: tuple[int, int], fps: int) -> None:
        self._container = container
        self._stream: VideoStream = container.add_stream(
            "libx264", rate=fps, options={"crf": "17", "preset": "medium"}
        )
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        codec = self._stream.codec_context
        # Code points of ITU-T H.273; players everywhere show sRGB through BT.709's curve.
        codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
        codec.color_range = _LIMITED
        self._shown = 0

    def show(self, image: Image.Image, repeats: int) -> None:
        """Append an RGB image as `repeats` frames."""
        frame = _yuv(image)
        for _ in range(repeats):
            frame.pts = self._shown
            self._container.mux(self._stream.encode(frame))
            self._shown += 1

    def end(self) -> None:
        """Write the frames that the encoder still holds."""
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
    """Round down to an even number, at least 2: each color sample covers 2 x 2 pixels."""
    return max(2, side - side % 2)


@hooks.writers
def writers() -> Iterable[WriterSpec[Any]]:
    """Yield the writer `mp4`."""
    yield WriterSpec(
        name="mp4",
        summary="time-lapse of the optimization (needs the extra stylectl[video])",
        suffixes=(".mp4",),
        create=MP4Writer,
        options=MP4Options,
    )
