"""Clips of the tests, made by FFmpeg through PyAV."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SIZE = (48, 64)


def picture(seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return smooth colors (H, W, 3), float32 in [0, 1], that differ by seed."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack(
        [x / (width - 1), y / (height - 1), np.full(size, (seed % 10) / 10, np.float32)], axis=2
    )


def write_video(
    path: Path,
    frames: int = 10,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    size: tuple[int, int] = SIZE,
    times: Sequence[float] | None = None,
    rotation: int | None = None,
    planes: Callable[[int], Sequence[np.ndarray]] | None = None,
    tags: Mapping[str, object] | None = None,
    audio: bool = False,
    audio_first: bool = False,
    subtitles: Sequence[tuple[float, str]] = (),
    chapters: Sequence[tuple[float, float, str]] = (),
    offset: float = 0,
    fps: int = 10,
    container_format: str | None = None,
    movflags: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a clip; `planes` returns the planes of frame `n` (default: those of `picture`)."""
    tick = Fraction(1, 12800)
    with av.open(
        str(path),
        "w",
        format=container_format,
        container_options={"movflags": movflags} if movflags else {},
    ) as container:
        sound: Any = _sound(container) if audio_first else None
        stream: Any = container.add_stream(
            codec, rate=fps, options={"crf": "1", "g": "5"} if options is None else options
        )
        stream.height, stream.width = size
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = tick
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        stream.metadata.update(metadata or {})
        sound = _sound(container) if audio and not sound else sound
        texts = container.add_mux_stream("subrip") if subtitles else None
        if chapters:
            container.set_chapters(
                [
                    {
                        "id": number,
                        "start": int(1000 * start),
                        "end": int(1000 * end),
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": title},
                    }
                    for number, (start, end, title) in enumerate(chapters)
                ]
            )
        if texts:
            container.start_encoding()
            for start, text in subtitles:
                packet = av.Packet(text.encode())
                packet.stream, packet.time_base = texts, Fraction(1, 1000)
                packet.pts = packet.dts = int(1000 * start)
                packet.duration = 500
                container.mux(packet)
        for number in range(frames):
            if planes:
                frame = from_planes(planes(number), pixel_format)
            else:
                levels = np.rint(picture(number, size) * 255).astype(np.uint8)
                frame = av.VideoFrame.from_ndarray(levels, format="rgb24").reformat(
                    format=pixel_format
                )
            for name, value in (tags or {}).items():
                if hasattr(frame, name):
                    setattr(frame, name, value)
            time = times[number] if times else number / fps
            frame.pts, frame.time_base = round((time + offset) / tick), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound:
            _beeps(container, sound, frames / fps, offset)


def _sound(container: Any) -> Any:
    return container.add_stream("aac", rate=44100, layout="mono")


def _beeps(container: Any, stream: Any, seconds: float, offset: float) -> None:
    """Write silence with a click at each whole second and a half: at 0.5, 1.5, ..."""
    samples = np.zeros(int(seconds * 44100), np.float32)
    for click in range(22050, len(samples), 44100):
        samples[click : click + 200] = 0.9
    for start in range(0, len(samples), 1024):
        part = samples[start : start + 1024]
        frame = av.AudioFrame.from_ndarray(part[None], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = 44100, Fraction(1, 44100)
        frame.pts = start + round(offset * 44100)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def seconds(timed: av.VideoFrame | av.AudioFrame | av.Packet[Any]) -> float:
    """Return the timestamp of a frame or a packet."""
    assert timed.pts is not None
    assert timed.time_base is not None
    return float(timed.pts * timed.time_base)


def clicks(path: Path) -> list[float]:
    """Return the times of the clicks in a clip's sound, from its first video frame."""
    with av.open(str(path)) as container:
        origin = seconds(next(container.decode(video=0)))
    found: list[float] = []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.audio[0]):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.3)
            if loud.size:
                time = seconds(frame) + loud[0] / frame.sample_rate - origin
                if not found or time - found[-1] > 0.1:
                    found.append(time)
    return found


def from_planes(planes: Sequence[np.ndarray], name: str) -> av.VideoFrame:
    """Return a frame of FFmpeg with these planes."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, name)
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size // values.itemsize), values.dtype)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    return frame
