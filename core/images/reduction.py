"""Pixels of large images that are kept: those that are used, taken strip by strip.

An opaque image is resampled to the sizes at which it is used, to the same bits as if all of it were
kept. Images with transparency and masks are reduced by a whole number first, if they are large.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from ..interfaces.source_image import NO_MARGINS, Margins, resized
from ..sizes.fitting import Size
from .formats.limits import Layout, Use
from .formats.strips import Strips

#: (height, width) of a file -> the sizes at which the image is used; none: at any.
SizesOf = Callable[[Size], Sequence[Size]]

#: An image is resampled at once if it has so many times the pixels of the largest size.
_LEAST_RATIO = 8
#: Least long side in pixels, after a reduction by a whole number.
_LEAST_SIDE = 4096


@dataclass(frozen=True)
class Pixels:
    """Pixels of an image, as in `SourceImage`; the notices are without its path."""

    rgb: Image.Image
    alpha: Image.Image | None = None
    resampled: Mapping[Size, Image.Image] = field(default_factory=dict)
    margins: Margins = NO_MARGINS
    notices: tuple[str, ...] = ()


class PixelsUse(Use):
    """Use of an image that decides which of its pixels are kept."""

    @abstractmethod
    def pixels(self, strips: Strips, file_size: Size) -> Pixels:
        """Return the pixels that are kept of an image; it may be smaller than its file."""


class AnySize(PixelsUse):
    """Use of all pixels."""

    def bytes_after(self, layout: Layout) -> int:
        """Return the bytes of the pixels that are kept."""
        return layout.bytes_of_colors() + _bytes_of_alpha(layout)

    def pixels(self, strips: Strips, file_size: Size) -> Pixels:
        """Return the pixels that are kept."""
        return Pixels(strips.all_rgb(), strips.all_alpha())


class FrameOfClip(AnySize):
    """Use of all pixels of a frame, whose white does not depend on what it shows."""

    full_range = True


@dataclass(frozen=True)
class AtSizes(PixelsUse):
    """Use of an image at the sizes that `sizes_of` returns for the file's size."""

    sizes_of: SizesOf

    def bytes_after(self, layout: Layout) -> int:
        """Return the bytes of the pixels that are kept."""
        size = layout.size
        sizes = self._sizes(size)
        if sizes:
            opaque = 4 * sum(size[0] * width + height * width for height, width in sizes)
        else:
            opaque = layout.bytes_of_colors()
        if not layout.has_alpha:
            return opaque
        return max(opaque, _bytes_of_reduced(layout, self.least_side(size)))

    def least_side(self, size: Size) -> int:
        """Return twice the largest side that is used."""
        sizes = self.sizes_of(size)
        return 2 * max(map(max, sizes)) if sizes else max(size)

    def pixels(self, strips: Strips, file_size: Size) -> Pixels:
        """Return the pixels that are kept."""
        if strips.has_alpha:
            return _reduced(strips, divisor_of(strips.size, self.least_side(file_size)))
        sizes = self._sizes(file_size)
        return _resampled(strips, sizes) if sizes else AnySize().pixels(strips, file_size)

    def _sizes(self, size: Size) -> Sequence[Size]:
        """Return the sizes to resample to; none where that would save little."""
        sizes = list(dict.fromkeys(self.sizes_of(size)))
        largest = max((height * width for height, width in sizes), default=0)
        return sizes if _LEAST_RATIO * largest <= size[0] * size[1] else []


@dataclass(frozen=True)
class AsMask(PixelsUse):
    """Use as a mask of an image that is used at a long side of `side` at most."""

    side: int

    def bytes_after(self, layout: Layout) -> int:
        """Return the bytes of the pixels that are kept."""
        pixels = layout.size[0] * layout.size[1]
        gray = pixels
        values = 4 * pixels // divisor_of(layout.size, 2 * self.side) ** 2
        if layout.has_alpha:
            colors = _bytes_of_reduced(layout, 2 * self.side)
        else:
            colors = layout.bytes_of_colors(any_mode=True)
        return colors + gray + values

    def pixels(self, strips: Strips, file_size: Size) -> Pixels:
        """Return the pixels that are kept."""
        if strips.has_alpha:
            return _reduced(strips, divisor_of(strips.size, 2 * self.side))
        return Pixels(strips.all_rgb(any_mode=True))


class AsMap(PixelsUse):
    """Use as a map of regions."""

    def bytes_after(self, layout: Layout) -> int:
        """Return the bytes of the pixels that are kept."""
        return layout.bytes_of_colors(any_mode=True) + _bytes_of_alpha(layout)

    def pixels(self, strips: Strips, file_size: Size) -> Pixels:
        """Return the pixels that are kept."""
        return Pixels(strips.all_rgb(any_mode=True), strips.all_alpha())


def _bytes_of_alpha(layout: Layout) -> int:
    return layout.size[0] * layout.size[1] * layout.has_alpha


def _bytes_of_reduced(layout: Layout, least_side: int) -> int:
    divisor = divisor_of(layout.size, least_side)
    if divisor == 1:
        return layout.bytes_of_colors() + _bytes_of_alpha(layout)
    return 9 * layout.size[0] * layout.size[1] // divisor**2  # "RGBA", "RGB" and "L"


def divisor_of(size: Size, least_side: int) -> int:
    """Return the whole number by which an image can be reduced, 1 for one that is not large."""
    return max(1, max(size) // max(least_side, _LEAST_SIDE))


def _resampled(strips: Strips, sizes: Sequence[Size]) -> Pixels:
    """Resample along the rows, strip by strip, and then along the columns, as Pillow does."""
    height = strips.size[0]
    along_rows = {width: Image.new("RGB", (width, height)) for _, width in sizes}
    for top, bottom in strips.edges():
        rows = strips.rgb(top, bottom)
        for width, result in along_rows.items():
            result.paste(resized(rows, bottom - top, width), (0, top))
    images = {size: resized(along_rows[size[1]], *size) for size in sizes}
    return Pixels(images[max(sizes)], None, images)


def _reduced(strips: Strips, divisor: int) -> Pixels:
    """Reduce an image to the means of squares of pixels, weighted by their opacity."""
    if divisor == 1:
        return Pixels(strips.all_rgb(), strips.all_alpha())
    height, width = (-(-side // divisor) for side in strips.size)
    result = Image.new("RGBA", (width, height))
    for top, bottom in strips.edges(divisor):
        rows = strips.rgb(top, bottom)
        rows.putalpha(strips.alpha(top, bottom))
        result.paste(rows.reduce(divisor), (0, top // divisor))
    return Pixels(result.convert("RGB"), result.getchannel("A"))
