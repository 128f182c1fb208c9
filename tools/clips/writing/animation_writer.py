"""Writing of animated GIF, WebP and PNG, frame by frame, by FFmpeg."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..pyav import import_av
from ..records import write_record
from ..target import ClipTarget
from .frame_writer import FrameWriter

if TYPE_CHECKING:
    from av import Packet, VideoFrame

#: Index of transparent pixels in a palette.
_CLEAR = 255
#: Suffix -> FFmpeg's format, encoder and pixel format, options, and ticks of a second.
_FORMATS: dict[str, tuple[str, str, str, dict[str, str], int]] = {
    ".gif": ("gif", "gif", "pal8", {"gifflags": "0"}, 100),
    ".webp": ("webp", "libwebp_anim", "bgra", {"quality": "90", "compression_level": "4"}, 1000),
    ".png": ("apng", "apng", "rgba", {"pred": "mixed"}, 1000),
    ".apng": ("apng", "apng", "rgba", {"pred": "mixed"}, 1000),
}


class AnimationWriter(FrameWriter):
    """Animation that plays for ever."""

    def __init__(self, target: ClipTarget, file: Path, record: str | None) -> None:
        av = import_av(target.path)
        self._target, self._file, self._record = target, file, record
        name, encoder, self._format, options, ticks = _FORMATS[target.path.suffix.lower()]
        if name == "apng" and not target.alpha:
            self._format = "rgb24"
        loop = {"apng": {"plays": "0"}}.get(name, {"loop": "0"})
        self._container = av.open(str(file), "w", format=name, container_options=loop)
        self._container.flags |= av.container.Flags.bitexact.value
        self._tick = Fraction(1, ticks)
        self._stream = self._container.add_stream(
            encoder, rate=target.fps, options={**options, "threads": "1"}
        )
        self._stream.height, self._stream.width = target.size
        self._stream.pix_fmt = self._format
        self._stream.codec_context.time_base = self._tick
        self._durations: dict[int, int] = {}
        self._last, self._end = -1, 0

    def add(
        self, pixels: np.ndarray, alpha: np.ndarray | None, time: float, duration: float
    ) -> None:
        """See FrameWriter.add."""
        start = max(self._last + 1, round(Fraction(time) / self._tick))
        end = max(start + 1, round(Fraction(time + duration) / self._tick))
        self._last, self._end = start, end
        frame = self._frame(np.rint(np.asarray(pixels).clip(0, 1) * 255).astype(np.uint8), alpha)
        frame.pts, frame.time_base, frame.duration = start, self._tick, end - start
        self._durations[start] = end - start
        self._mux(self._stream.encode(frame))

    def finish(self) -> None:
        """See FrameWriter.finish."""
        self._mux(self._stream.encode(None))
        self.close()
        if self._target.path.suffix.lower() == ".webp":
            _set_last_duration(self._file, self._end)
        if self._record is not None:
            write_record(self._file, self._record)

    def close(self) -> None:
        """See FrameWriter.close."""
        self._container.close()

    def _mux(self, packets: list[Packet[Any]]) -> None:
        for packet in packets:
            if packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
            self._container.mux(packet)

    def _frame(self, levels: np.ndarray, alpha: np.ndarray | None) -> VideoFrame:
        from av import VideoFrame

        if self._format == "pal8":
            return VideoFrame.from_ndarray(_paletted(levels, alpha), format="pal8")
        if self._format == "rgb24":
            return VideoFrame.from_ndarray(np.ascontiguousarray(levels), format="rgb24")
        opaque = np.ones(levels.shape[:2], np.float32)
        channel = np.rint((opaque if alpha is None else alpha.clip(0, 1)) * 255).astype(np.uint8)
        colors = levels[..., ::-1] if self._format == "bgra" else levels
        packed = np.concatenate([colors, channel[..., None]], axis=2)
        return VideoFrame.from_ndarray(np.ascontiguousarray(packed), format=self._format)


def _set_last_duration(file: Path, end: int) -> None:
    """Set the duration of a WebP's last frame, by the end in milliseconds.

    FFmpeg's encoder gives it the mean of the others. Source: WebP Container Specification.
    """
    with file.open("rb+") as stream:
        stream.seek(12)
        places, time = [], 0
        while len(header := stream.read(8)) == 8:
            start = stream.tell()
            size = int.from_bytes(header[4:], "little")
            if header[:4] == b"ANMF":
                places.append(start + 12)
                stream.seek(start + 12)
                durations_so_far = time
                time += int.from_bytes(stream.read(3), "little")
            stream.seek(start + size + size % 2)
        if places:
            stream.seek(places[-1])
            stream.write(max(1, end - durations_so_far).to_bytes(3, "little"))


def _paletted(levels: np.ndarray, alpha: np.ndarray | None) -> Any:
    """Return indices and a palette (256, 4), ARGB; pixels are opaque or fully transparent."""
    image = Image.fromarray(levels).quantize(256 if alpha is None else _CLEAR)
    indices = np.array(image)
    colors = np.array(image.getpalette() or [0, 0, 0], np.uint8).reshape(-1, 3)
    palette = np.zeros((256, 4), np.uint8)
    palette[:, 0] = 255
    palette[: len(colors), 1:] = colors[:256]
    if alpha is not None:
        indices[alpha < 0.5] = _CLEAR
        palette[_CLEAR] = 0
    return indices, palette
