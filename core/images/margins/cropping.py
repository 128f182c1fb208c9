"""Leaving out the margins of a style image, and the like of its map of regions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...errors import ImageError
from ...interfaces.source_image import NO_MARGINS, Margins, SourceImage
from ...job.choices import Crop
from ...sizes.fitting import Size
from ..formats.limits import Layout
from ..formats.strips import Strips
from ..reduction import Pixels, PixelsUse
from .finding import find_margins


@dataclass(frozen=True)
class Cropped(PixelsUse):
    """Use of an image without its margins, which are found or stated.

    `path` names the image in messages. Found margins are in the notices of the pixels.
    """

    use: PixelsUse
    crop: Crop
    path: str

    def bytes_after(self, layout: Layout) -> int:
        """Return the bytes of the pixels that are kept; a part of an image is a copy."""
        height, width = layout.size
        return self.use.bytes_after(layout) or (4 * height * width if self.crop != "none" else 0)

    def least_side(self, size: Size) -> int:
        """Return the long side that is needed of an image of `size`, with its margins."""
        if isinstance(self.crop, str):
            return self.use.least_side(size)
        inside = self._inside(size, Margins(*self.crop))
        ratio = max(size[0] / inside[0], size[1] / inside[1])
        return min(max(size), round(self.use.least_side(inside) * ratio))

    def pixels(self, strips: Strips, file_size: Size) -> Pixels:
        """Return the pixels that are kept. Raises ImageError if the margins leave none."""
        height, width = strips.size
        across, down = file_size[1] / width, file_size[0] / height  # a JPEG may be decoded smaller
        if isinstance(self.crop, str):
            can_have = self.crop == "auto" and not strips.has_alpha
            part = find_margins(strips) if can_have else NO_MARGINS
            margins = _scaled(part, across, down)
        else:
            margins = Margins(*self.crop)
            part = _scaled(margins, 1 / across, 1 / down)
        if not any(margins):
            return self.use.pixels(strips, file_size)
        inside = self._inside(file_size, margins)
        right, bottom = width - part.right, height - part.bottom
        left, top = min(part.left, right - 1), min(part.top, bottom - 1)
        pixels = self.use.pixels(strips.part(left, top, right, bottom), inside)
        notices = [_notice(margins)] if self.crop == "auto" else []
        return replace(pixels, margins=margins, notices=(*pixels.notices, *notices))

    def _inside(self, size: Size, margins: Margins) -> Size:
        height = size[0] - margins.top - margins.bottom
        width = size[1] - margins.left - margins.right
        if min(height, width) < 1:
            values = ",".join(map(str, margins))
            raise ImageError(
                f"{self.path}: `style_crop={values}` (left, top, right, bottom) leaves nothing of "
                f"the image, which has {size[1]}x{size[0]} px"
            )
        return height, width


def cropped_like(image: SourceImage, style: SourceImage) -> SourceImage:
    """Return a map without the part that lies over the margins of its style image.

    A map of another size is cropped by the same parts of its sides.
    """
    margins = style.margins
    if not any(margins):
        return image
    height, width = style.outer_size
    part = _scaled(margins, image.rgb.width / width, image.rgb.height / height)
    right, bottom = image.rgb.width - part.right, image.rgb.height - part.bottom
    box = (min(part.left, right - 1), min(part.top, bottom - 1), right, bottom)
    alpha = image.alpha and image.alpha.crop(box)
    return replace(image, rgb=image.rgb.crop(box), alpha=alpha, file_size=None)


def _scaled(margins: Margins, across: float, down: float) -> Margins:
    left, top, right, bottom = margins
    return Margins(
        round(left * across), round(top * down), round(right * across), round(bottom * down)
    )


def _notice(margins: Margins) -> str:
    widths = [
        f"{width} px {where}"
        for width, where in zip(
            margins, ("on the left", "at the top", "on the right", "at the bottom"), strict=True
        )
        if width
    ]
    return (
        f"a margin in one color is left out of the style: {', '.join(widths)} "
        "(`style_crop=none` keeps it)"
    )
