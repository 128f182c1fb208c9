"""Pixels of FFmpeg's frames: upright, with square pixels, in sRGB, in floating point."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ....core.errors import ImageError
from ..colors import (
    FULL,
    HDR_TRANSFERS,
    LIMITED,
    LINEAR_TRANSFERS,
    MATRICES,
    UNSPECIFIED,
    WIDE_PRIMARIES,
    Coding,
    assumed_matrix,
    to_bt709,
)
from ..timing import Pixels

if TYPE_CHECKING:
    from av import VideoFrame

#: Bits of a sample -> the end of the name of FFmpeg's planar format that holds them.
_PLANAR = {8: "", 9: "10le", 10: "10le", 12: "12le", 14: "16le", 16: "16le"}
_PLANAR_BITS = {"": 8, "10le": 10, "12le": 12, "16le": 16}
_GRAY = {"gray": 8, "gray10le": 10, "gray12le": 12, "gray14le": 14, "gray16le": 16}
#: The code point of a matrix that is none: the planes are R, G and B.
_RGB = 0


@dataclass(frozen=True)
class Geometry:
    """Geometry by which frames are made upright.

    - `size`: (width, height) of the coded frame with square pixels, before it is turned.
    - `transposed`, `flipped_x`, `flipped_y`: the turn, in this order.
    - `notice`: for the user; empty if nothing is turned or scaled.
    """

    size: tuple[int, int]
    transposed: bool = False
    flipped_x: bool = False
    flipped_y: bool = False
    notice: str = ""

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) of the frames that are read."""
        return self.size[::-1] if self.transposed else self.size

    def upright(self, plane: np.ndarray) -> np.ndarray:
        """Return pixels or alpha turned."""
        if self.transposed:
            plane = plane.swapaxes(0, 1)
        if self.flipped_x:
            plane = plane[:, ::-1]
        if self.flipped_y:
            plane = plane[::-1]
        return np.ascontiguousarray(plane)


def geometry_of(frame: VideoFrame, aspect: Fraction | None) -> Geometry:
    """Return how frames like this one are made upright; `aspect` is a pixel's width to height."""
    width, height = frame.width, frame.height
    notices = []
    if aspect and aspect != 1 and Fraction(1, 8) <= aspect <= 8:
        scaled = max(1, round(width * aspect))
        notices.append(
            f"its pixels are {aspect.numerator}:{aspect.denominator} and not square: read at "
            f"{scaled}x{height}"
        )
        width = scaled
    turn = _turn(frame)
    if turn is None:
        notices.append("it is turned by no multiple of 90 degrees, which is ignored")
    return Geometry((width, height), *(turn or (False, False, False)), notice="; ".join(notices))


def _turn(frame: VideoFrame) -> tuple[bool, bool, bool] | None:
    """Return the turn by the frame's display matrix; None if it is not by quarters."""
    matrix = _display_matrix(frame)
    if matrix is None:
        return False, False, False
    # x' = a x + c y, y' = b x + d y, in fixed point
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    if b == c == 0 and a and d:
        return False, a < 0, d < 0
    if a == d == 0 and b and c:
        return True, c < 0, b < 0
    return None


def _display_matrix(frame: VideoFrame) -> np.ndarray | None:
    from av.sidedata.sidedata import Type

    data: Any = frame.side_data
    buffer = data.get(Type.DISPLAYMATRIX)
    return None if buffer is None else np.frombuffer(bytes(buffer), np.int32)


def check_colors(path: str, frame: VideoFrame) -> str:
    """Return a notice about the colors, which may be empty.

    Raises ImageError for colors that cannot be converted: HDR, linear, an unknown matrix.
    """
    transfer = {**HDR_TRANSFERS, **LINEAR_TRANSFERS}.get(frame.color_trc)
    if transfer:
        raise ImageError(
            f"{path}: the clip is {transfer}, and stylectl works in standard range; convert it to "
            "BT.709 first, with your editor or with ffmpeg's filters zscale and tonemap"
        )
    if not _is_rgb(frame) and frame.colorspace not in (*MATRICES, UNSPECIFIED, _RGB):
        raise ImageError(
            f"{path}: the clip's color matrix (number {frame.colorspace} of H.273) is not "
            "supported; convert it to BT.709 first"
        )
    if frame.color_primaries in WIDE_PRIMARIES:
        return f"converted from {WIDE_PRIMARIES[frame.color_primaries][0]} to sRGB"
    return ""


def has_alpha(frame: VideoFrame) -> bool:
    """Return whether the frame's format has transparency; a palette in a video has none."""
    return not frame.format.has_palette and any(
        component.is_alpha for component in frame.format.components
    )


def pixels_of(frame: VideoFrame, geometry: Geometry) -> Pixels:
    """Return a frame's pixels and alpha, as in `Frame`."""
    bits = max(component.bits for component in frame.format.components)
    if _is_rgb(frame) or (len(frame.format.components) < 3 and frame.format.name not in _GRAY):
        pixels, alpha = _from_rgb(frame, geometry, bits)
    elif frame.format.name in _GRAY:
        coding = Coding(_matrix(frame), frame.color_range != LIMITED, _GRAY[frame.format.name])
        pixels, alpha = coding.gray(_plane(_converted(frame, geometry, None), 0)), None
    else:
        pixels, alpha = _from_yuv(frame, geometry, bits)
    if frame.color_primaries in WIDE_PRIMARIES:
        pixels = to_bt709(pixels, frame.color_primaries)
    return geometry.upright(pixels), None if alpha is None else geometry.upright(alpha)


def _is_rgb(frame: VideoFrame) -> bool:
    return frame.format.is_rgb or frame.format.has_palette


def _matrix(frame: VideoFrame) -> int:
    if frame.colorspace in MATRICES:
        return frame.colorspace
    return assumed_matrix(frame.width, frame.height)


def _from_yuv(frame: VideoFrame, geometry: Geometry, bits: int) -> Pixels:
    """Convert by FFmpeg to planes of one size, with the same numbers, and to RGB here."""
    full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
    transparent = has_alpha(frame)
    end = _PLANAR.get(bits, "16le")
    planar = _converted(frame, geometry, ("yuva444p" if transparent else "yuv444p") + end, full)
    coding = Coding(_matrix(frame), full, _PLANAR_BITS[end])
    pixels = coding.rgb(*(_plane(planar, place) for place in range(3)))
    if not transparent:
        return pixels, None
    largest = np.float32(2**coding.bits - 1)
    return pixels, _plane(planar, 3).astype(np.float32) / largest


def _from_rgb(frame: VideoFrame, geometry: Geometry, bits: int) -> Pixels:
    transparent = has_alpha(frame)
    if bits <= 8:
        name, largest = ("rgba" if transparent else "rgb24"), 2**8 - 1
    else:
        name, largest = ("rgba64le" if transparent else "rgb48le"), 2**16 - 1
    packed = _converted(frame, geometry, name)
    samples = _plane(packed, 0, 4 if transparent else 3).astype(np.float32)
    samples /= np.float32(largest)
    if not transparent:
        return samples, None
    return np.ascontiguousarray(samples[..., :3]), samples[..., 3]


def _converted(
    frame: VideoFrame, geometry: Geometry, name: str | None, full: bool = True
) -> VideoFrame:
    """Return a frame in another format of FFmpeg, with square pixels; colors stay as they are."""
    from av.video.reformatter import ColorRange, Interpolation

    same_range = ColorRange.JPEG if full else ColorRange.MPEG
    matrix = _matrix(frame)
    flags = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    return frame.reformat(
        width=geometry.size[0],
        height=geometry.size[1],
        format=name,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=same_range,
        dst_color_range=same_range,
        interpolation=flags | Interpolation.BITEXACT,
        threads=1,
    )


def _plane(frame: VideoFrame, place: int, samples: int = 1) -> np.ndarray:
    """Return a plane (H, W), or (H, W, samples) of a packed format."""
    plane = frame.planes[place]
    wide = max(component.bits for component in frame.format.components) > 8
    dtype = np.dtype("<u2") if wide else np.dtype(np.uint8)
    buffer: Any = plane
    rows: np.ndarray = np.frombuffer(buffer, dtype).reshape(plane.height, -1)
    rows = rows[:, : plane.width * samples]
    return rows if samples == 1 else rows.reshape(plane.height, plane.width, samples)
