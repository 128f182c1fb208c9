"""Maps of regions: images in a few plain colors, one for each region."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import ImageError
from ..interfaces.source_image import SourceImage

#: Colors nearer than this (Euclidean, of 255) count as equal: JPEG changes plain colors a little.
_ALIKE = 40.0
#: Largest number of regions of a map.
_MOST_COLORS = 32
#: Least part of a map that is plain, with pixels equal to all their neighbors. A photo has less.
_PLAIN = 0.25

Color = tuple[int, int, int]


def paired_regions(
    content: SourceImage, styles: Sequence[SourceImage]
) -> tuple[list[list[tuple[Tensor, Tensor]]], list[str]]:
    """Return the pairs of regions for each style's map, and notices for the user.

    A pair is the masks of one color in the content's map and in the style's map; the styles share
    the content's masks. Raises ImageError for a map with too many colors, or with a color that no
    style's map has.
    """
    content_regions = _regions(content)
    style_regions = [_regions(style) for style in styles]
    for color in content_regions:
        if not any(_match(color, regions) for regions in style_regions):
            names = ", ".join(style.path for style in styles)
            raise ImageError(f"{content.path}: the color {_name(color)} is not in {names}")
    notices = [
        f"{style.path}: the color {_name(color)} is not in {content.path}, so it is not used"
        for style, regions in zip(styles, style_regions, strict=True)
        for color in regions
        if not _match(color, content_regions)
    ]
    pairs = [
        [
            (content_region, regions[match])
            for color, content_region in content_regions.items()
            if (match := _match(color, regions))
        ]
        for regions in style_regions
    ]
    return pairs, notices


def _regions(image: SourceImage) -> dict[Color, Tensor]:
    """Return the mask (H, W), bool, of each main color.

    Pixels of other colors, as at soft edges, belong to the nearest main color.
    """
    pixels = np.array(image.rgb)
    colors = _main_colors(pixels, image.path)
    nearest = np.zeros(pixels.shape[:2], np.uint8)
    least_distance = np.full(pixels.shape[:2], np.inf, np.float32)
    for number, color in enumerate(colors):
        distance = sum(
            (pixels[..., channel].astype(np.float32) - color[channel]) ** 2 for channel in range(3)
        )
        nearest[distance < least_distance] = number
        least_distance = np.minimum(least_distance, distance)
    return {
        color: torch.from_numpy(nearest == number)
        for number, color in enumerate(colors)
        if (nearest == number).any()
    }


def _main_colors(pixels: np.ndarray, path: str) -> list[Color]:
    """Return the main colors of a map, the most frequent first.

    A main color fills a square of 3 x 3 pixels somewhere (mixtures along an edge do not), and is
    not near a more frequent one. Raises ImageError for an image that is not a map of regions.
    """
    codes = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    middle = codes[1:-1, 1:-1]
    plain = np.ones(middle.shape, bool)
    for down in range(3):
        for right in range(3):
            rows, columns = middle.shape
            plain &= codes[down : down + rows, right : right + columns] == middle
    if not plain.any() or plain.mean() < _PLAIN:
        raise ImageError(f"{path}: not a map of regions; a map has large areas of plain colors")
    plain_codes, counts = np.unique(middle[plain], return_counts=True)
    colors: list[Color] = []
    for code in plain_codes[np.argsort(-counts, kind="stable")].tolist():
        color = (code >> 16, code >> 8 & 255, code & 255)
        if _match(color, colors) is None:
            colors.append(color)
        if len(colors) > _MOST_COLORS:
            raise ImageError(
                f"{path}: not a map of regions; it has more than {_MOST_COLORS} plain colors"
            )
    return colors


def _match(color: Color, others: Sequence[Color] | dict[Color, Tensor]) -> Color | None:
    """Return the nearest of the other colors if it counts as equal, else None."""
    if not others:
        return None
    nearest = min(others, key=lambda other: _distance(color, other))
    return nearest if _distance(color, nearest) < _ALIKE else None


def _distance(left: Color, right: Color) -> float:
    return float(sum((a - b) ** 2 for a, b in zip(left, right, strict=True)) ** 0.5)


def _name(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
