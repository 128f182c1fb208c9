"""Sound, subtitles and chapters of a source, copied into a video without encoding them again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ..pyav import opened_video
from ..reading.video_file import VideoFile
from ..source import Clip
from ..target import ClipTarget

if TYPE_CHECKING:
    from av import Packet
    from av.container import OutputContainer

#: Seconds before the first frame from which sound is kept if the clip is not cut: encoders begin
#: with some samples that players leave out.
_PRIMING = Fraction(1, 10)
#: Texts of a stream that are copied.
_KEPT = ("language", "title")


class CopiedStreams:
    """Streams of a source that are muxed along with new frames."""

    def __init__(self, output: OutputContainer, source: Clip | None, target: ClipTarget) -> None:
        self.notices: tuple[str, ...] = ()
        self._output = output
        self._stack = ExitStack()
        self._packets: Iterator[tuple[Fraction, Packet[Any]]] = iter(())
        self._next: tuple[Fraction, Packet[Any]] | None = None
        if not isinstance(source, VideoFile):
            return
        try:
            self._prepare(source, target)
        except BaseException:
            self._stack.close()
            raise

    def _prepare(self, source: VideoFile, target: ClipTarget) -> None:
        start = source.first_time
        container = self._stack.enter_context(opened_video(source.path))
        taken = self._output.supported_codecs
        notices, streams = [], {}
        for stream in container.streams:
            if stream.type == "video":
                continue
            context = stream.codec_context if stream.type in ("audio", "subtitle") else None
            name = context.codec.canonical_name if context else stream.type
            if context is None or name not in taken:
                kind = f"{stream.type} stream {stream.index} ({name})"
                if stream.type in ("audio", "subtitle"):
                    notices.append(
                        f"{target.path}: {target.path.suffix} does not hold the {kind} of "
                        f"{source.path}; .mkv may"
                    )
                else:
                    notices.append(f"{target.path}: the {kind} of {source.path} is not copied")
                continue
            copy: Any = self._output.add_stream_from_template(stream, opaque=True)
            copy.metadata.update(
                {key: text for key, text in stream.metadata.items() if key in _KEPT}
            )
            copy.disposition = stream.disposition.value
            streams[stream.index] = copy
        self._output.set_chapters(_chapters(container.chapters(), source.origin + start, source))
        self.notices = tuple(notices)
        if streams:
            self._packets = _shifted(container.demux(), streams, source.origin, start)

    def write_until(self, time: Fraction) -> None:
        """Mux the packets that begin before `time`, in seconds from the first new frame."""
        while (item := self._next or next(self._packets, None)) is not None:
            self._next = item
            if item[0] >= time:
                return
            self._output.mux(item[1])
            self._next = None

    def close(self) -> None:
        """Close the source."""
        self._stack.close()


def _shifted(
    packets: Iterator[Packet[Any]], streams: dict[int, Any], origin: Fraction, start: Fraction
) -> Iterator[tuple[Fraction, Packet[Any]]]:
    """Yield packets that are not before the start, with their new times."""
    first = start if start else -_PRIMING
    for packet in packets:
        stream = streams.get(packet.stream_index)
        if stream is None or packet.dts is None or packet.pts is None or not packet.size:
            continue
        tick = packet.time_base
        time = packet.pts * tick - origin
        if time < first:
            continue
        shift = round((origin + start) / tick)
        packet.pts -= shift
        packet.dts -= shift
        packet.stream = stream
        yield time - start, packet


def _chapters(chapters: list[Any], start: Fraction, source: VideoFile) -> list[Any]:
    """Return chapters counted from the first new frame, without those outside."""
    end = source.options.end
    most = None if end is None else source.origin + Fraction(repr(end)) - start
    kept = []
    for chapter in chapters:
        tick = chapter["time_base"]
        begins, ends = (chapter[key] * tick - start for key in ("start", "end"))
        if ends <= 0 or (most is not None and begins >= most):
            continue
        ends = ends if most is None else min(ends, most)
        kept.append(
            chapter | {"start": round(max(Fraction(0), begins) / tick), "end": round(ends / tick)}
        )
    return kept
