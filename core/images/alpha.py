"""Transparent pixels of a picture: filled with the colors of the nearest opaque ones."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image

from ..errors import ImageError
from ..interfaces.source_image import SourceImage

_BOX = Image.Resampling.BOX
#: A pixel with less opacity, of 255, is partly filled: 8 bits hold its color only roughly.
_CERTAIN = 16
#: Opacity -> the part of a pixel's own color in the filled image, both of 255.
_OWN_PART = [min(255, round(255 * opacity / _CERTAIN)) for opacity in range(256)]
_VISIBLE = [0, *(255,) * 255]


def without_hidden_colors(image: SourceImage) -> SourceImage:
    """Return a picture whose transparent pixels are filled.

    Raises ImageError for a wholly transparent one.
    """
    if image.alpha is None:
        return image
    if not image.alpha.getbbox():
        raise ImageError(f"{image.path}: the image is wholly transparent; nothing in it is visible")
    return replace(image, rgb=filled(image.rgb, image.alpha))


def filled(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    """Return the colors with transparent pixels filled; `alpha` must have a visible pixel.

    A transparent pixel becomes the mean color of the visible pixels in the smallest square around
    it, of 2, 4, 8, ... pixels, that has some (a pyramid of means). So the colors that transparent
    pixels have in the file do not count. Pixels of an opacity of 1/16 or more are unchanged.
    """
    return _filled(rgb, alpha.point(_OWN_PART))


def _filled(rgb: Image.Image, own_part: Image.Image) -> Image.Image:
    if rgb.size == (1, 1):
        return rgb
    width, height = ((side + 1) // 2 for side in rgb.size)
    colors = rgb.copy()
    colors.putalpha(own_part)  # resizing weights colors by their opacity
    coarse = colors.resize((width, height), _BOX)
    del colors
    # A square with a visible pixel counts as opaque, so that squares farther away do not mix in.
    visible = coarse.getchannel("A").point(_VISIBLE)
    behind = coarse.convert("RGB")
    del coarse
    if visible.getextrema() != (255, 255):
        behind = _filled(behind, visible)
    return Image.composite(rgb, behind.resize(rgb.size, Image.Resampling.BILINEAR), own_part)
