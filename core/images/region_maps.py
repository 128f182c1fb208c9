"""Maps of regions: images in a few plain colors, one for each region.

A map in colors may be a JPEG or have soft edges: colors near each other count as one. A map of
labels (0, 1, 2, ... as grays, or a palette) has exact colors, which may be near each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import ImageError
from ..interfaces.source_image import SourceImage
from ..sizes.fitting import fit

#: Colors nearer than this (Euclidean, of 255) count as equal: JPEG changes plain colors a little.
_ALIKE = 40.0
#: Largest number of regions of a map.
_MOST_COLORS = 32
#: Least part of a map that is plain, with pixels equal to all their neighbors. A photo has less.
_PLAIN = 0.25
#: Least part of the plain pixels, and least distance, at which a color is one of its own that was
#: drawn near another, and not one that JPEG changed.
_NOTABLE_PART, _NOTABLE_DISTANCE = 0.01, 8.0
#: Most colors, soft edges included, of an image that was drawn without JPEG.
_MOST_EXACT = 64

#: A map's long side in pixels that is not reduced, unless the result is larger.
_LEAST_SIDE = 4096
#: Rows that are examined at a time; opacity, of 255, from which a pixel belongs to a region.
_ROWS, _OPAQUE = 256, 128
#: Code of a transparent pixel; colors are 0xRRGGBB.
_TRANSPARENT = 1 << 24
#: Label of pixels without a region.
_NO_REGION = 255

Color = tuple[int, int, int]


@dataclass(frozen=True)
class RegionMap:
    """A map of regions.

    - `colors`: the main colors, the most frequent first.
    - `labels`: (H, W), uint8, the index of each pixel's color; 255 for a transparent pixel.
    - `exact`: whether its colors are compared exactly, as those of a map of labels.
    - `notices`: how it was read, for the user.
    """

    path: str
    colors: tuple[Color, ...]
    labels: np.ndarray
    exact: bool
    notices: tuple[str, ...]

    def mask(self, color: Color) -> Tensor:
        """Return the mask (H, W), bool, of one of the colors."""
        return torch.from_numpy(self.labels == self.colors.index(color))


def region_map(image: SourceImage, side: int = _LEAST_SIDE) -> RegionMap:
    """Return the map of an image; pixels of other colors, as at soft edges, go to the nearest.

    A map whose long side is larger than `side`, and than 4096 px, is reduced to it. Raises
    ImageError for an image that is not a map of regions.
    """
    counts, path = _Colors.of(image.rgb, image.alpha), image.path
    if counts.plain_part < _PLAIN or not counts.plain:
        raise ImageError(f"{path}: not a map of regions; a map has large areas of plain colors")
    is_gray = counts.are_labels
    candidates = counts.all if is_gray and counts.all else counts.plain
    is_exact = (is_gray or image.has_palette) and _are_near(candidates)
    merged: dict[Color, list[Color]] = {}
    for color, _ in sorted(candidates.items(), key=lambda item: (-item[1], item[0])):
        match = None if is_exact else _match(color, list(merged))
        merged.setdefault(match or color, []).append(color)
        if len(merged) > _MOST_COLORS:
            raise ImageError(
                f"{path}: not a map of regions; it has more than {_MOST_COLORS} plain colors"
            )
    notices = [] if is_exact else _merge_notices(path, merged, counts)
    colors = tuple(merged)
    if is_exact:
        kind = "labels" if is_gray else "the colors of a palette"
        shown = [str(color[0]) for color in colors] if is_gray else [_name(c) for c in colors]
        notices.append(f"{path}: read as a map of {kind}: {', '.join(sorted(shown, key=_number))}")
    if counts.has_transparency:
        notices.append(f"{path}: its transparent parts belong to no region")
    labels = _labels(image.rgb, image.alpha, colors, max(side, _LEAST_SIDE))
    present = tuple(color for number, color in enumerate(colors) if (labels == number).any())
    if present != colors:  # lost in the reduction
        lost = ", ".join(_name(color) for color in colors if color not in present)
        raise ImageError(f"{path}: the regions {lost} are too thin for a map of this size")
    return RegionMap(path, colors, labels, is_exact, tuple(notices))


def paired_regions(
    content: RegionMap, styles: Sequence[RegionMap]
) -> tuple[list[list[tuple[Tensor, Tensor]]], list[str]]:
    """Return the pairs of regions for each style's map, and notices for the user.

    A pair is the masks of one color in the content's map and in the style's map; the styles share
    the content's masks. Raises ImageError for a color that no style's map has.
    """
    alike = 0.0 if any(map_.exact for map_ in (content, *styles)) else _ALIKE
    for color in content.colors:
        if not any(_match(color, style.colors, alike) for style in styles):
            names = ", ".join(style.path for style in styles)
            raise ImageError(f"{content.path}: the color {_name(color)} is not in {names}")
    notices = [
        f"{style.path}: the color {_name(color)} is not in {content.path}, so it is not used"
        for style in styles
        for color in style.colors
        if not _match(color, content.colors, alike)
    ]
    masks = {color: content.mask(color) for color in content.colors}
    pairs = [
        [
            (mask, style.mask(match))
            for color, mask in masks.items()
            if (match := _match(color, style.colors, alike))
        ]
        for style in styles
    ]
    return pairs, notices


@dataclass(frozen=True)
class _Colors:
    """Colors of an image with their numbers of pixels.

    - `plain`: those that fill a square of 3 x 3 pixels somewhere (mixtures along an edge do not).
    - `all`: all of them, or None if there are more than 64.
    - `plain_part`: part of the pixels that are plain.
    """

    plain: Counter[Color]
    all: Counter[Color] | None
    plain_part: float
    has_transparency: bool

    @property
    def are_labels(self) -> bool:
        """True for grays of 0, 1, 2, ... (255 often stands for no label)."""
        if self.all is None or all(set(color) <= {0, 255} for color in self.all):
            return False
        return all(len(set(c)) == 1 and (c[0] < _MOST_COLORS or c[0] == 255) for c in self.all)

    @classmethod
    def of(cls, rgb: Image.Image, alpha: Image.Image | None) -> _Colors:
        plain: Counter[int] = Counter()
        every: Counter[int] | None = Counter()
        pixels = 0
        for codes in _code_strips(rgb, alpha):
            middle = codes[1:-1, 1:-1]
            same_row, same_column = codes[:, 1:] == codes[:, :-1], codes[1:] == codes[:-1]
            rows_plain = same_row[:, 1:] & same_row[:, :-1]
            is_plain = rows_plain[1:-1] & rows_plain[2:] & rows_plain[:-2]
            is_plain &= same_column[1:, 1:-1] & same_column[:-1, 1:-1]
            plain += _counts(middle[is_plain])
            pixels += middle.size
            if every is not None:
                every += _counts(codes.ravel())
                every = every if len(every) <= _MOST_EXACT else None
        part = plain.total() / max(1, pixels)
        has_transparency = alpha is not None and any(alpha.histogram()[:_OPAQUE])
        all_colors = None if every is None else _by_color(every)
        return cls(_by_color(plain), all_colors, part, bool(has_transparency))


def _code_strips(rgb: Image.Image, alpha: Image.Image | None) -> Iterator[np.ndarray]:
    """Yield the codes of strips, uint32, each with one more row of pixels at both sides."""
    for top in range(1, max(2, rgb.height - 1), _ROWS):
        yield _codes(rgb, alpha, top - 1, min(top + _ROWS + 1, rgb.height))


def _codes(rgb: Image.Image, alpha: Image.Image | None, top: int, bottom: int) -> np.ndarray:
    box = (0, top, rgb.width, bottom)
    pixels = np.asarray(rgb.crop(box).convert("RGB")).astype(np.uint32)
    codes: np.ndarray = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    if alpha is not None:
        codes[np.asarray(alpha.crop(box)) < _OPAQUE] = _TRANSPARENT
    return codes


def _counts(codes: np.ndarray) -> Counter[int]:
    """Return the number of each code; runs of equal codes, which maps consist of, count at once."""
    if not codes.size:
        return Counter()
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    lengths = np.diff(np.append(starts, codes.size))
    values, places = np.unique(codes[starts], return_inverse=True)
    totals = np.bincount(places, weights=lengths).astype(np.int64)
    return Counter(dict(zip(values.tolist(), totals.tolist(), strict=True)))


def _by_color(counts: Counter[int]) -> Counter[Color]:
    return Counter(
        {
            (code >> 16, code >> 8 & 255, code & 255): count
            for code, count in counts.items()
            if code != _TRANSPARENT
        }
    )


def _merge_notices(path: str, merged: dict[Color, list[Color]], found: _Colors) -> list[str]:
    """Return notices of drawn colors that count as one. Raises ImageError if all of them do."""
    plain_pixels = found.plain.total()

    def is_notable(color: Color, main: Color) -> bool:
        if found.all is not None:
            return True
        distance = _distance(color, main)
        return distance >= _NOTABLE_DISTANCE and found.plain[color] >= _NOTABLE_PART * plain_pixels

    notices = []
    for main, colors in merged.items():
        notable = [main, *(color for color in colors[1:] if is_notable(color, main))]
        if len(notable) == 1:
            continue
        names = ", ".join(_name(color) for color in notable)
        if len(merged) == 1:
            raise ImageError(
                f"{path}: the colors of the map, {names}, are so near each other that they count "
                f"as one region; use colors that differ by {_ALIKE:g} of 255 or more"
            )
        notices.append(f"{path}: the colors {names} are near each other and count as one region")
    return notices


def _labels(
    rgb: Image.Image, alpha: Image.Image | None, colors: Sequence[Color], side: int
) -> np.ndarray:
    """Return the index of each pixel's nearest color, at a long side of `side` at most."""
    height, width = fit((rgb.height, rgb.width), side)
    if (width, height) != rgb.size:
        rgb = rgb.resize((width, height), Image.Resampling.NEAREST)
        alpha = alpha and alpha.resize((width, height), Image.Resampling.NEAREST)
    labels = np.empty((height, width), np.uint8)
    main_codes = np.array([red << 16 | green << 8 | blue for red, green, blue in colors], np.uint32)
    order = np.argsort(main_codes)
    for top in range(0, height, _ROWS):
        codes = _codes(rgb, alpha, top, min(top + _ROWS, height))
        places = np.searchsorted(main_codes[order], codes).clip(max=len(colors) - 1)
        strip = order[places].astype(np.uint8)
        others = main_codes[strip] != codes
        strip[others] = _nearest(codes[others], colors)
        labels[top : top + _ROWS] = strip
    return labels


def _nearest(codes: np.ndarray, colors: Sequence[Color]) -> np.ndarray:
    """Return the index of the nearest color of each code; of equally near ones, the first."""
    nearest = np.zeros(codes.shape, np.uint8)
    least_distance = np.full(codes.shape, np.inf, np.float32)
    channels = [(codes >> shift & 255).astype(np.float32) for shift in (16, 8, 0)]
    for number, color in enumerate(colors):
        distance = sum(
            (channel - level) ** 2 for channel, level in zip(channels, color, strict=True)
        )
        nearest[distance < least_distance] = number
        least_distance = np.minimum(least_distance, distance)
    nearest[codes == _TRANSPARENT] = _NO_REGION
    return nearest


def _are_near(colors: Counter[Color]) -> bool:
    return any(
        _distance(color, other) < _ALIKE
        for number, color in enumerate(colors)
        for other in list(colors)[:number]
    )


def _match(color: Color, others: Sequence[Color], alike: float = _ALIKE) -> Color | None:
    """Return the nearest of the other colors if it counts as equal, else None."""
    if not others:
        return None
    nearest = min(others, key=lambda other: _distance(color, other))
    return nearest if nearest == color or _distance(color, nearest) < alike else None


def _distance(left: Color, right: Color) -> float:
    return float(sum((a - b) ** 2 for a, b in zip(left, right, strict=True)) ** 0.5)


def _name(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _number(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() else (0, text)
