"""Videos, by FFmpeg: every frame is decoded from the first one on, so that all are exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ....core.errors import ImageError
from ....core.images.files import file_sha256
from ....core.images.formats.limits import Limits
from ..pyav import import_av, opened_video, reason
from ..source import Clip, ClipInfo, ClipOptions, most_frames, seconds_taken
from ..timing import Decoded, Selection, decimal, rate
from .deinterlacing import deinterlaced
from .frame_pixels import Geometry, check_colors, geometry_of, has_alpha, pixels_of
from .frame_times import FrameTimes

if TYPE_CHECKING:
    from av import Packet, VideoCodecContext, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

#: Bytes that a pixel takes while a frame is converted, as measured.
_BYTES_PER_PIXEL = 48
#: Formats whose headers state the duration; a file that ends so many seconds before is cut off, or
#: so many frames, since the last packet may have no duration.
_STATING = ("mov", "matroska", "avi", "flv", "asf")
_LEAST_MISSING, _LEAST_FRAMES = Fraction(1, 10), Fraction(3, 2)
#: Decoders that read the transparency, which FFmpeg's own ignore.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_GAP = Fraction(1, 25)


@dataclass(frozen=True)
class _Stream:
    """A clip's video stream, as its first frame shows it.

    - `origin`: the first frame's timestamp in seconds.
    - `coded_size`: (width, height) of the frames in the file.
    """

    origin: Fraction
    tick: Fraction
    gap: Fraction
    coded_size: tuple[int, int]
    geometry: Geometry


class VideoFile(Clip):
    """A video file; the first frame is decoded when it is opened."""

    def __init__(self, path: str, options: ClipOptions) -> None:
        super().__init__(path, options)
        with self._opened() as (container, stream):
            self._stream, self._info = self._look(container, stream)

    @property
    def info(self) -> ClipInfo:
        """See Clip.info."""
        return self._info

    @cached_property
    def _sha256(self) -> str:
        return file_sha256(self.path)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file."""
        return self._sha256

    @property
    def origin(self) -> Fraction:
        """Timestamp of the first frame in the file, in seconds."""
        return self._stream.origin

    @property
    def _selection(self) -> Selection:
        options = self.options
        return Selection(
            tick=self._stream.tick,
            gap=self._stream.gap,
            start=decimal(options.start) or Fraction(0),
            end=decimal(options.end),
            every=options.every,
            fps=None if options.fps is None else rate(options.fps),
        )

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        with opened_video(self.path) as container:
            stream = _video_stream(container)
            if stream is None:
                raise ImageError(f"{self.path}: no video stream in it")
            size = stream.codec_context.width, stream.codec_context.height
            limits = Limits(self.options.max_pixels)
            limits.check_pixels(self.path, *size)
            limits.check_memory(self.path, *size, _BYTES_PER_PIXEL * size[0] * size[1])
            yield container, stream

    def _look(self, container: InputContainer, stream: VideoStream) -> tuple[_Stream, ClipInfo]:
        options = self.options
        frame = next(self._raw(container, stream), None)
        if frame is None:
            raise ImageError(f"{self.path}: no frame in it can be decoded")
        notice = check_colors(self.path, frame)
        self._check_progressive(frame)
        tick = frame.time_base or stream.time_base or Fraction(1, 1000)
        fps = _rate_of(stream)
        geometry = geometry_of(frame, stream.sample_aspect_ratio)
        seen = _Stream(
            origin=((frame.dts or 0) if frame.pts is None else frame.pts) * tick,
            tick=tick,
            gap=1 / fps if fps else _GAP,
            coded_size=(frame.width, frame.height),
            geometry=geometry,
        )
        duration = _duration(container, stream)
        seconds = seconds_taken(options, duration)
        taken_fps = rate(options.fps) if options.fps else fps and fps / options.every
        width, height = geometry.upright_size
        info = ClipInfo(
            width=width,
            height=height,
            frames=most_frames(seconds, taken_fps),
            fps=taken_fps,
            duration=None if seconds is None else float(seconds),
            has_alpha=has_alpha(frame),
            kind="video",
            has_audio=bool(container.streams.audio),
            has_subtitles=bool(container.streams.subtitles),
            has_chapters=bool(container.chapters()),
            notices=tuple(f"{self.path}: {text}" for text in (geometry.notice, notice) if text),
        )
        return seen, info

    def _decoded(self) -> Iterator[Decoded]:
        seen = self._stream
        with self._opened() as (container, stream):
            frames: Iterable[VideoFrame] = self._checked(self._raw(container, stream))
            if self.options.deinterlace:
                frames = deinterlaced(frames, stream)
            times = FrameTimes(seen.origin, seen.gap)
            for frame in frames:
                tick = frame.time_base or seen.tick
                time = times.next(_seconds(frame.pts, tick), _seconds(frame.dts, tick))
                if time == times.jump:
                    self._note_jump(time)
                duration = frame.duration * tick if frame.duration else None
                yield Decoded(time, duration, partial(pixels_of, frame, seen.geometry))

    def _raw(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        """Yield the decoded frames, up to the first that is damaged.

        Damaged ones before the first whole one, such as those of a clip that was cut without
        encoding, are left out.
        """
        whole = False
        for frame in self._frames_and_fault(container, stream):
            if frame.is_corrupt and whole:
                raise ImageError(f"{self.path}: the next one is damaged")
            if not frame.is_corrupt:
                whole = True
                yield frame

    def _frames_and_fault(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[VideoFrame]:
        """Yield all frames, then raise ImageError if the file is damaged.

        The frames that the decoder holds back when it meets the fault are among them.
        """
        import av

        decoder = self._decoder(stream)
        fault: ImageError | None = None
        try:
            for packet in self._packets(container, stream):
                yield from decoder.decode(packet)
        except av.FFmpegError as error:
            fault = ImageError(f"{self.path}: cannot be decoded ({reason(error)})")
        except ImageError as error:
            fault = error
        try:
            yield from decoder.decode(None)
        except av.FFmpegError as error:
            fault = fault or ImageError(f"{self.path}: cannot be decoded ({reason(error)})")
        if fault:
            raise fault

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any]]:
        """Yield the packets of the stream. Raises ImageError for a damaged one or a missing end."""
        start, last = _start(container), Fraction(0)
        for packet in container.demux():
            if packet.dts is not None:
                ticks = (packet.pts or packet.dts) + (packet.duration or 0)
                last = max(last, ticks * packet.time_base - start)
            # PyAV ends with empty packets, which all have the index of the first stream.
            if packet.stream_index != stream.index or not packet.size:
                continue
            if packet.is_corrupt and container.format.name != "mpegts":
                raise ImageError(f"{self.path}: a part of the file is missing or damaged")
            yield packet
        stated, fps = _stated(container) or Fraction(0), _rate_of(stream)
        least = max(_LEAST_MISSING, _LEAST_FRAMES / fps if fps else _GAP)
        if container.format.name.startswith(_STATING) and stated - last > least:
            raise ImageError(
                f"{self.path}: the file ends at {float(last):.6g} s, and states "
                f"{float(stated):.6g} s"
            )

    def _decoder(self, stream: VideoStream) -> VideoCodecContext:
        av = import_av(self.path)
        context = stream.codec_context
        library = _WITH_ALPHA.get(context.codec.canonical_name)
        if stream.metadata.get("alpha_mode") == "1" and library in av.codecs_available:
            context = av.CodecContext.create(library, "r")
        context.options = {"max_pixels": str(self.options.max_pixels)}
        # Threads for frames lose those before a damaged one: as many as there are cores.
        context.thread_type = "SLICE"
        return context

    def _checked(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """Yield the frames. Raises ImageError for one of another size, or with other colors."""
        width, height = self._stream.coded_size
        for frame in frames:
            if (frame.width, frame.height) != (width, height):
                raise ImageError(
                    f"{self.path}: the next one has {frame.width}x{frame.height} px instead of "
                    f"{width}x{height}"
                )
            check_colors(self.path, frame)
            self._check_progressive(frame)
            yield frame

    def _check_progressive(self, frame: VideoFrame) -> None:
        if frame.interlaced_frame and not self.options.deinterlace:
            raise ImageError(
                f"{self.path}: the clip is interlaced: each frame has two half images, of "
                "different moments; `deinterlace=True` makes full frames of them"
            )

    def _note_jump(self, time: Fraction) -> None:
        self._problems.append(
            f"{self.path}: the timestamps jump back at {float(time):.6g} s; the frames after "
            "follow in even steps, so that the sound may be out of step from there"
        )


def _video_stream(container: InputContainer) -> VideoStream | None:
    """Return the best video stream; a cover picture is none."""
    from av.stream import Disposition

    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    best = container.streams.best("video")
    return next((stream for stream in streams if stream is best), streams[0] if streams else None)


def _seconds(ticks: int | None, tick: Fraction) -> Fraction | None:
    return None if ticks is None else ticks * tick


def _rate_of(stream: VideoStream) -> Fraction | None:
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    return rate if rate and rate <= 1000 else None


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the seconds that the file states; the header's of the stream, or of all of it."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return _stated(container)


def _start(container: InputContainer) -> Fraction:
    """Return the first timestamp of all streams, in seconds."""
    import av

    return Fraction(container.start_time or 0, av.time_base)


def _stated(container: InputContainer) -> Fraction | None:
    """Return the seconds from the first timestamp that the file states."""
    import av

    if not container.duration:
        return None
    seconds, start = Fraction(container.duration, av.time_base), _start(container)
    # FFmpeg writes the last timestamp into a Matroska file, and others the length.
    counted_from_zero = container.format.name.startswith("matroska") and seconds > start
    return seconds - start if counted_from_zero else seconds
