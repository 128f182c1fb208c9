"""Maps of regions: images in a few plain colors, one for each region."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import ImageError
from ..interfaces.source_image import SourceImage

#: Colors nearer than this (Euclidean, of 255) are one: JPEG changes plain colors a little.
_ALIKE = 40.0
#: A map has no more regions than that.
_MOST_COLORS = 32
#: So much of a map, at least, is plain: pixels like all of their neighbours. A photograph has less.
_PLAIN = 0.25

Color = tuple[int, int, int]


def paired_regions(
    content: SourceImage, styles: Sequence[SourceImage]
) -> tuple[list[list[tuple[Tensor, Tensor]]], list[str]]:
    """For each style's map, its regions: where in the content's map a color is, and where in the
    style's, as masks; the styles share the content's. And what the user should know.

    Raises ImageError for a map with too many colors, or with a color that no style's map has.
    """
    of_content = _regions(content)
    of_styles = [_regions(style) for style in styles]
    for color in of_content:
        if not any(_partner(color, regions) for regions in of_styles):
            names = ", ".join(style.path for style in styles)
            raise ImageError(f"{content.path}: the color {_name(color)} is not in {names}")
    notices = [
        f"{style.path}: the color {_name(color)} is not in {content.path}, so it is not used"
        for style, regions in zip(styles, of_styles, strict=True)
        for color in regions
        if not _partner(color, of_content)
    ]
    pairs = [
        [
            (region, regions[partner])
            for color, region in of_content.items()
            if (partner := _partner(color, regions))
        ]
        for regions in of_styles
    ]
    return pairs, notices


def _regions(image: SourceImage) -> dict[Color, Tensor]:
    """Each main color's mask, bool; other colors, as of soft edges, go to the nearest."""
    pixels = np.array(image.rgb)
    colors = _main_colors(pixels, image.path)
    nearest = np.zeros(pixels.shape[:2], np.uint8)
    least = np.full(pixels.shape[:2], np.inf, np.float32)
    for number, color in enumerate(colors):
        distance = sum(
            (pixels[..., channel].astype(np.float32) - color[channel]) ** 2 for channel in range(3)
        )
        nearest[distance < least] = number
        least = np.minimum(least, distance)
    return {
        color: torch.from_numpy(nearest == number)
        for number, color in enumerate(colors)
        if (nearest == number).any()
    }


def _main_colors(pixels: np.ndarray, path: str) -> list[Color]:
    """Those that fill a square of 3 x 3 pixels somewhere (mixtures along an edge do not), the most
    frequent first, without those that are like a more frequent one."""
    codes = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    middle = codes[1:-1, 1:-1]
    plain = np.ones(middle.shape, bool)
    for down in range(3):
        for right in range(3):
            rows, columns = middle.shape
            plain &= codes[down : down + rows, right : right + columns] == middle
    if not plain.any() or plain.mean() < _PLAIN:
        raise ImageError(f"{path}: not a map of regions, which has large areas of plain colors")
    found, counts = np.unique(middle[plain], return_counts=True)
    colors: list[Color] = []
    for code in found[np.argsort(-counts, kind="stable")].tolist():
        color = (code >> 16, code >> 8 & 255, code & 255)
        if _partner(color, colors) is None:
            colors.append(color)
        if len(colors) > _MOST_COLORS:
            raise ImageError(
                f"{path}: more than {_MOST_COLORS} plain colors, which are not a map of regions"
            )
    return colors


def _partner(color: Color, others: Sequence[Color] | dict[Color, Tensor]) -> Color | None:
    """The nearest of the others, if it counts as the same."""
    if not others:
        return None
    nearest = min(others, key=lambda other: _distance(color, other))
    return nearest if _distance(color, nearest) < _ALIKE else None


def _distance(one: Color, other: Color) -> float:
    return float(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5)


def _name(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
