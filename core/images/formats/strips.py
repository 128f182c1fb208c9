"""The pixels of a decoded image, upright (EXIF) and in sRGB (ICC), converted strip by strip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from .icc import srgb_conversion
from .samples import Range, to_levels, white_of

#: Most pixels that are converted at a time, and the bytes that each may take meanwhile.
_STRIP_PIXELS, _STRIP_BYTES = 1 << 20, 24

_Transpose = Image.Transpose
#: Orientation in EXIF -> the turn that makes the image upright.
_TURNS = {
    2: _Transpose.FLIP_LEFT_RIGHT,
    3: _Transpose.ROTATE_180,
    4: _Transpose.FLIP_TOP_BOTTOM,
    5: _Transpose.TRANSPOSE,
    6: _Transpose.ROTATE_270,
    7: _Transpose.TRANSVERSE,
    8: _Transpose.ROTATE_90,
}
#: Turns after which columns are rows, and those after which the last row or column comes first.
_SIDEWAYS = (
    _Transpose.TRANSPOSE,
    _Transpose.ROTATE_270,
    _Transpose.TRANSVERSE,
    _Transpose.ROTATE_90,
)
_BACKWARDS = (
    _Transpose.ROTATE_180,
    _Transpose.FLIP_TOP_BOTTOM,
    _Transpose.TRANSVERSE,
    _Transpose.ROTATE_90,
)
_WITH_ALPHA = ("RGBA", "LA", "PA")


def strip_bytes(width: int) -> int:
    """Return the bytes that the conversion of an image takes, beside the image and its result."""
    return _STRIP_BYTES * max(width, _STRIP_PIXELS)


class Strips:
    """A decoded image as strips of 8-bit sRGB, of which only those in use take memory.

    - `size`: (height, width), upright.
    - `is_sideways`: whether these are the file's columns and rows.
    - `notices`: how the colors were read.
    """

    def __init__(self, image: Image.Image, full_range: bool = False) -> None:
        """Read an image of any mode; `full_range` as in `Use`. Raises UnknownSamplesError."""
        self._image = image
        self._turn = _TURNS.get(image.getexif().get(Base.Orientation, 1))
        self.is_sideways = self._turn in _SIDEWAYS
        self.size = image.size if self.is_sideways else image.size[::-1]
        self._corner: tuple[int, int] | None = None
        self.notices: list[str] = []
        self._is_deep = image.mode[0] == "I" or image.mode == "F"
        if self._is_deep:
            self._levels = self._levels_of_samples(full_range)
        profile = image.info.get("icc_profile")
        self._to_srgb: Callable[[Image.Image], Image.Image] | None = None
        if profile:
            self._to_srgb, notice = srgb_conversion(self._colors_mode(), profile)
            self.notices += [notice] if notice else []
        self.has_alpha = image.mode in (*_WITH_ALPHA, "La", "RGBa") or "transparency" in image.info
        self.has_alpha = self.has_alpha and any(
            self.alpha(*edges).getextrema() != (255, 255) for edges in self.edges()
        )

    def part(self, left: int, top: int, right: int, bottom: int) -> Strips:
        """Return the part between two columns and two rows, as of an image of its own."""
        part = copy(self)
        part.size, part._corner = (bottom - top, right - left), (top, left)
        return part

    def edges(self, unit: int = 1) -> Iterator[tuple[int, int]]:
        """Yield the first row of each strip, and the row after its last.

        All but the last strip have a whole number of `unit` rows.
        """
        rows = max(1, _STRIP_PIXELS // self.size[1] // unit) * unit
        for top in range(0, self.size[0], rows):
            yield top, min(top + rows, self.size[0])

    def rgb(self, top: int, bottom: int) -> Image.Image:
        """Return rows in sRGB; the colors of transparent pixels are the file's."""
        colors = self._colors(self._rows(top, bottom))
        if self._to_srgb:
            colors = self._to_srgb(colors)
        return colors if colors.mode == "RGB" else colors.convert("RGB")

    def alpha(self, top: int, bottom: int) -> Image.Image:
        """Return the alpha channel of rows, of an image that has one."""
        rows = _straight(self._rows(top, bottom))
        rows = rows if rows.mode in _WITH_ALPHA else rows.convert("RGBA")
        return rows.getchannel("A")

    def all_rgb(self, any_mode: bool = False) -> Image.Image:
        """Return the image in sRGB, as "RGB".

        With `any_mode` a gray image and one with a palette stay "L" and "P", in less memory.
        """
        image = self._image
        is_plain = self._turn is None and self._to_srgb is None and self._corner is None
        if is_plain and image.mode in (("RGB", "L", "P") if any_mode else ("RGB",)):
            return image
        is_gray = self._is_deep or image.mode in ("1", "L", "LA", "La")
        mode = "L" if any_mode and is_gray and self._to_srgb is None else "RGB"
        result = Image.new(mode, self.size[::-1])
        for top, bottom in self.edges():
            rows = self.rgb(top, bottom)
            result.paste(rows if mode == "RGB" else rows.getchannel(0), (0, top))
        return result

    def all_alpha(self) -> Image.Image | None:
        """Return the alpha channel, "L"; None for an opaque image."""
        if not self.has_alpha:
            return None
        result = Image.new("L", self.size[::-1])
        for top, bottom in self.edges():
            result.paste(self.alpha(top, bottom), (0, top))
        return result

    def _rows(self, top: int, bottom: int) -> Image.Image:
        """Return rows of the upright image, in the mode of the file."""
        if self._corner is None:
            return self._full_rows(top, bottom)
        first_row, left = self._corner
        rows = self._full_rows(first_row + top, first_row + bottom)
        return rows.crop((left, 0, left + self.size[1], rows.height))

    def _full_rows(self, top: int, bottom: int) -> Image.Image:
        """Return rows of all of the upright image."""
        height = self._image.width if self.is_sideways else self._image.height
        if self._turn in _BACKWARDS:
            top, bottom = height - bottom, height - top
        if self.is_sideways:
            box = (top, 0, bottom, self._image.height)
        else:
            box = (0, top, self._image.width, bottom)
        rows = self._image.crop(box)
        return rows if self._turn is None else rows.transpose(self._turn)

    def _colors_mode(self) -> str:
        return self._colors(self._image.crop((0, 0, 1, 1))).mode

    def _colors(self, rows: Image.Image) -> Image.Image:
        """Return rows as "RGB", "L" or "CMYK", in the colors of the file."""
        rows = _straight(rows)
        if self._is_deep:
            return Image.fromarray(self._levels(_samples(rows)))
        if rows.mode in ("RGB", "CMYK", "L"):
            return rows
        return rows.convert("L" if rows.mode == "LA" else "RGB")

    def _levels_of_samples(self, full_range: bool) -> Callable[[np.ndarray], np.ndarray]:
        """Return the conversion of gray of 16 bits ("I;16", "I") or floating point ("F")."""
        parts = (_samples(self._rows(*edges)) for edges in self.edges())
        dtype = _dtype(self._image)
        white = white_of(dtype, Range.of(parts), full_range=full_range)
        self.notices += [white.notice] if white.notice else []
        return to_levels(dtype, white.value)


def _straight(image: Image.Image) -> Image.Image:
    """Return an image whose colors are not multiplied by its opacity."""
    straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
    return image.convert(straight) if straight else image


def _dtype(image: Image.Image) -> np.dtype:
    return np.dtype(np.float32 if image.mode == "F" else np.uint16)


def _samples(rows: Image.Image) -> np.ndarray:
    # In mode "I" Pillow gives numbers of 16 bits as 32 bits with a sign.
    return np.asarray(rows).astype(_dtype(rows))
