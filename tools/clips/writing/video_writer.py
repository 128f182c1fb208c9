"""Writing of videos, by FFmpeg: the same frames give the same file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....core.interfaces.writer import RECORD_KEY
from ..colors import BT709, FULL, LIMITED, Coding
from ..pyav import import_av
from ..source import Clip
from ..target import ClipTarget
from .copied_streams import CopiedStreams
from .frame_writer import FrameWriter

if TYPE_CHECKING:
    from av import Packet, VideoFrame

#: Least ticks of a second, so that uneven times are kept to a tenth of a millisecond.
_LEAST_TICKS = 10_000
#: Code points of H.273: sRGB's transfer function, and a matrix that is none.
_SRGB_TRANSFER, _NO_MATRIX = 13, 0
_EIGHT_BITS = ("yuv420p", "yuva420p")


class VideoWriter(FrameWriter):
    """Video tagged as BT.709 and converted to it, with the streams of its source."""

    def __init__(
        self, target: ClipTarget, file: Path, source: Clip | None, record: str | None
    ) -> None:
        assert target.codec
        assert target.container
        av = import_av(target.path)
        self._target = target
        name = target.container.name
        options = {"movflags": "+faststart+use_metadata_tags"} if name in ("mp4", "mov") else {}
        self._container = av.open(str(file), "w", format=name, container_options=options)
        # No random numbers, dates or versions.
        self._container.flags |= av.container.Flags.bitexact.value
        if record is not None:
            self._container.metadata[RECORD_KEY] = record
        codec_options = dict(target.codec.options)
        if target.crf is not None:
            codec_options["crf"] = str(target.crf)
        if target.alpha and target.codec.encoder == "libvpx-vp9":
            codec_options["auto-alt-ref"] = "0"  # hidden frames have no transparency
        self._tick = _tick(target.fps)
        self._stream = self._container.add_stream(
            target.codec.encoder, rate=target.fps, options=codec_options
        )
        height, width = target.coded_size
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = target.pixel_format
        context = self._stream.codec_context
        context.time_base = self._tick
        context.color_primaries = BT709
        if target.pixel_format.startswith("gbr"):
            context.color_trc, context.colorspace = _SRGB_TRANSFER, _NO_MATRIX
            context.color_range = FULL
        else:
            # Players everywhere show sRGB through BT.709's curve.
            context.color_trc = context.colorspace = BT709
            context.color_range = LIMITED
        if target.codec.encoder == "libx265" and name in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # without which Apple's players show nothing
        self._durations: dict[int, int] = {}
        self._end = Fraction(0)
        self._copied = CopiedStreams(self._container, source, target)

    @property
    def notices(self) -> tuple[str, ...]:
        """Notices of streams that are not copied."""
        return self._copied.notices

    def add(
        self, pixels: np.ndarray, alpha: np.ndarray | None, time: float, duration: float
    ) -> None:
        """See FrameWriter.add."""
        start = Fraction(time)
        self._copied.write_until(start)
        frame = self._frame(pixels, alpha)
        frame.pts = round(start / self._tick)
        frame.time_base = self._tick
        self._end = start + Fraction(duration)
        self._durations[frame.pts] = max(1, round(self._end / self._tick) - frame.pts)
        self._mux(self._stream.encode(frame))

    def finish(self) -> None:
        """See FrameWriter.finish."""
        self._mux(self._stream.encode(None))
        self._copied.write_until(self._end)
        self.close()

    def close(self) -> None:
        """See FrameWriter.close."""
        self._copied.close()
        self._container.close()

    def _mux(self, packets: list[Packet[Any]]) -> None:
        for packet in packets:
            if packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
            self._container.mux(packet)

    def _frame(self, pixels: np.ndarray, alpha: np.ndarray | None) -> VideoFrame:
        name, size = self._target.pixel_format, self._target.coded_size
        pixels = _padded(np.asarray(pixels, np.float32).clip(0, 1), size)
        if name.startswith("gbr"):
            planes = [_whole(pixels[..., channel], 16) for channel in (1, 2, 0)]
            bits = 16
        else:
            bits = 8 if name in _EIGHT_BITS else 10
            planes = list(Coding(BT709, False, bits).planes(pixels, half="420" in name))
        if self._target.alpha:
            opaque = np.ones(self._target.size, np.float32)
            planes.append(_whole(_padded(opaque if alpha is None else alpha, size), bits))
        return _frame_of(planes, name)


def _tick(fps: Fraction) -> Fraction:
    """Return a tick of which each frame at a constant rate has a whole number."""
    ticks = fps.numerator
    while ticks < _LEAST_TICKS:
        ticks *= 2
    return Fraction(1, ticks)


def _padded(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return pixels or alpha with the last row and column repeated, up to `size`."""
    rows, columns = size[0] - values.shape[0], size[1] - values.shape[1]
    if not rows and not columns:
        return values
    rest = ((0, 0),) * (values.ndim - 2)
    return np.pad(values, ((0, rows), (0, columns), *rest), "edge")


def _whole(values: np.ndarray, bits: int) -> np.ndarray:
    """Round values in [0, 1] to whole numbers of the full range."""
    numbers = np.rint(np.asarray(values, np.float32).clip(0, 1) * np.float32(2**bits - 1))
    whole: np.ndarray = numbers.astype(np.uint8 if bits == 8 else np.uint16)
    return whole


def _frame_of(planes: list[np.ndarray], name: str) -> VideoFrame:
    from av import VideoFrame

    height, width = planes[0].shape
    frame = VideoFrame(width, height, name)
    for plane, values in zip(frame.planes, planes, strict=True):
        values = values.astype(values.dtype.newbyteorder("<"))
        rows = np.zeros((plane.height, plane.line_size // values.itemsize), values.dtype)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    if name.startswith("gbr"):
        frame.colorspace, frame.color_range = _NO_MATRIX, FULL
    else:
        frame.colorspace, frame.color_range = BT709, LIMITED
    return frame
