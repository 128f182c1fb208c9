"""The search for margins: bands in one color along the edges, as scans and letterboxes have.

It is careful: a margin that is not found is still there for the user to see, while a part of a
painting that is left out is lost. A margin has one color, ends at a straight line along most of its
side, and has its like at the opposite side. Paper between drawn lines goes on inside and has no
such line; neither has a plain background, and a sky is at one side alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...interfaces.source_image import NO_MARGINS, Margins
from ..formats.strips import Strips

#: Largest difference (of 255, in any channel) from a margin's color: JPEG and paper vary.
_ALIKE = 30
#: Largest median difference within a margin.
_EVEN = 6
#: Least part of a margin's pixels that are alike: there may be dust.
_CLEAN = 0.97
#: Widest margin, as a part of its extent, and the narrowest, in pixels.
_WIDEST, _NARROWEST = 0.25, 2
#: Least part of a side along which the margin ends at its inner line, to a pixel or so, and most
#: along which it ends before. Elsewhere the painting begins with the margin's color.
_STRAIGHT, _TORN = 0.6, 0.08
#: Steepest inner line: a scan that was turned by less than two degrees.
_STEEPEST = 0.03
#: Most of the image inside that may be alike to the margin, or to its own main color.
_PAPER, _PLAIN = 0.5, 0.9
#: A line beside the margin that differs from it so much less than the next one is a blurred edge.
_BLURRED, _WIDEST_BLUR = 0.75, 3
#: Part of the inner line up to which a margin is left out; the rest is further inside, as it may be
#: where the painting has the margin's color at the edge.
_REST = 0.97
#: Pixels that differ from the margin in a row, at its end.
_SPECK = 3
#: Least side of an image that is searched; most lines of pixels that are examined at each side.
_LEAST_SIDE, _LINES = 48, 512


def find_margins(strips: Strips) -> Margins:
    """Return the margins of an opaque image in pixels; all 0 if there are none."""
    if min(strips.size) < _LEAST_SIDE:
        return NO_MARGINS
    samples = _Samples.of(strips)
    rough = [_inner_edge(side, _middle(side)) for side in samples.sides]
    edges = [
        _inner_edge(side, _between(side, before, after))
        for side, (before, after) in zip(samples.sides, _neighbors(rough), strict=True)
    ]
    return _accepted(edges, samples)


@dataclass(frozen=True)
class _Side:
    """Pixels at one side, from the edge inwards.

    - `pixels`: (depth, lines, 3), of the lines that are examined.
    - `lines`: the places of these lines along the side, and `length` that of the side, in pixels.
    """

    pixels: np.ndarray
    lines: np.ndarray
    length: int


@dataclass(frozen=True)
class _Edge:
    """Inner edge of a margin: its distance from the side in pixels, and the margin's color."""

    depth: int
    color: np.ndarray


@dataclass(frozen=True)
class _Samples:
    """Pixels at the left, top, right and bottom of an image, and a grid of pixels of all of it."""

    sides: tuple[_Side, _Side, _Side, _Side]
    grid: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    size: tuple[int, int]

    @classmethod
    def of(cls, strips: Strips) -> _Samples:
        """Read an image once, strip by strip."""
        height, width = strips.size
        rows, columns = (_spread(extent) for extent in (height, width))
        deep, wide = (int(_WIDEST * extent) + 1 + _WIDEST_BLUR for extent in (height, width))
        top, bottom, left, right, grid = [], [], [], [], []
        for first, after in strips.edges():
            pixels = np.asarray(strips.rgb(first, after))
            top.append(pixels[: max(0, deep - first), columns])
            bottom.append(pixels[max(0, height - deep - first) :, columns])
            in_strip = pixels[rows[(rows >= first) & (rows < after)] - first]
            left.append(in_strip[:, :wide])
            right.append(in_strip[:, -wide:])
            grid.append(in_strip[:, columns])
        sides = (
            _Side(np.concatenate(left).swapaxes(0, 1), rows, height),
            _Side(np.concatenate(top), columns, width),
            _Side(np.concatenate(right).swapaxes(0, 1)[::-1], rows, height),
            _Side(np.concatenate(bottom)[::-1], columns, width),
        )
        return cls(sides, np.concatenate(grid), rows, columns, (height, width))

    def inside(self, margins: Margins) -> np.ndarray:
        """Return the pixels (N, 3) of the grid inside the margins."""
        height, width = self.size
        rows = (self.rows >= margins.top) & (self.rows < height - margins.bottom)
        columns = (self.columns >= margins.left) & (self.columns < width - margins.right)
        return self.grid[rows][:, columns].reshape(-1, 3)


def _spread(extent: int) -> np.ndarray:
    """Return evenly spread places along an extent, all of them if they are few."""
    return np.unique(np.linspace(0, extent - 1, min(extent, _LINES)).round().astype(int))


def _middle(side: _Side) -> np.ndarray:
    """Return which lines are in the middle half, where no other side's margin is."""
    return (side.lines >= side.length * _WIDEST) & (side.lines < side.length * (1 - _WIDEST))


def _between(side: _Side, before: _Edge | None, after: _Edge | None) -> np.ndarray:
    """Return which lines are between the margins of the two neighboring sides."""
    first, last = (edge.depth if edge else 0 for edge in (before, after))
    return (side.lines >= first) & (side.lines < side.length - last)


def _neighbors(edges: list[_Edge | None]) -> list[tuple[_Edge | None, _Edge | None]]:
    """Return, for left, top, right and bottom, the edges at the beginning and end of the side."""
    left, top, right, bottom = edges
    return [(top, bottom), (left, right), (top, bottom), (left, right)]


def _inner_edge(side: _Side, chosen: np.ndarray) -> _Edge | None:
    """Return the inner edge of a side's margin, seen along the chosen lines; None without one."""
    pixels, lines = side.pixels[:, chosen], side.lines[chosen]
    limit = pixels.shape[0] - _WIDEST_BLUR
    color = np.median(pixels[:_NARROWEST].reshape(-1, 3), axis=0)
    differences = _differences(pixels, color)
    alike = differences <= _ALIKE
    if alike[:_NARROWEST].mean() < _CLEAN:
        return None
    depths = _depths(alike).clip(max=limit)
    straight = _on_straight_line(depths, lines, limit)
    if straight is None:
        return None
    ends = np.sort(depths[straight])
    band = slice(0, max(1, int(ends[0])))
    if alike[band].mean() < _CLEAN or np.median(differences[band]) > _EVEN:
        return None
    depth = int(ends[int(_REST * (ends.size - 1))])
    for _ in range(_WIDEST_BLUR):
        if differences[depth].mean() >= _BLURRED * differences[depth + 1].mean():
            break
        depth += 1
    return _Edge(depth, color) if _NARROWEST <= depth < limit else None


def _depths(alike: np.ndarray) -> np.ndarray:
    """Return the depth at which each line of pixels is no longer like the margin.

    Dust, and the ripples of JPEG before an edge, are narrower than `_SPECK`.
    """
    depth = alike.shape[0]
    ended = np.ones((depth - _SPECK + 1, alike.shape[1]), bool)
    for shift in range(_SPECK):
        ended &= ~alike[shift : depth - _SPECK + 1 + shift]
    depths: np.ndarray = np.where(ended.any(axis=0), ended.argmax(axis=0), depth - 1)
    return depths


def _differences(pixels: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Return the largest difference of each pixel from a color, over the channels."""
    differences: np.ndarray = np.abs(pixels - color.astype(np.float32)).max(axis=-1)
    return differences


def _on_straight_line(depths: np.ndarray, lines: np.ndarray, limit: int) -> np.ndarray | None:
    """Return which depths are on the straight line where most of them are; None without one."""
    span = int(lines[-1] - lines[0])
    along = (lines - (lines[0] + lines[-1]) / 2) / max(1, span)
    steepest = round(_STEEPEST * span)
    best, result = 0.0, None
    for rise in sorted(range(-steepest, steepest + 1), key=abs):  # of one end above the other
        levelled = np.rint(depths - rise * along).astype(int)
        offset = _most_common(levelled[depths < limit])
        if offset is None:
            return None
        straight = (np.abs(levelled - offset) <= 1) & (depths < limit)
        if straight.mean() > best:
            torn = (levelled < offset - 2).mean()
            best, result = straight.mean(), straight if torn <= _TORN else None
    return result if best >= _STRAIGHT else None


def _most_common(values: np.ndarray) -> int | None:
    """Return the value that is the most common together with its neighbors; None of none."""
    if not values.size:
        return None
    least = int(values.min())
    counts = np.bincount(values - least, minlength=3)
    near = np.convolve(counts, (1, 1.5, 1), "same")
    return least + int(near.argmax())


def _accepted(edges: list[_Edge | None], samples: _Samples) -> Margins:
    """Return the margins of the edges that have their like at the opposite side.

    A single other side counts if its margin has the color of such a pair.
    """
    left, top, right, bottom = edges
    pairs = [pair for pair in ((left, right), (top, bottom)) if _are_alike(*pair)]
    if not pairs:
        return NO_MARGINS
    model = pairs[0][0]
    assert model is not None
    margins = Margins(*(edge.depth if edge and _are_alike(model, edge) else 0 for edge in edges))
    inside = samples.inside(margins)
    paper = (_differences(inside, model.color) <= _ALIKE).mean()
    plain = (_differences(inside, np.median(inside, axis=0)) <= _ALIKE).mean()
    return NO_MARGINS if paper > _PAPER or plain > _PLAIN else margins


def _are_alike(one: _Edge | None, other: _Edge | None) -> bool:
    if one is None or other is None:
        return False
    return bool(np.abs(one.color - other.color).max() <= _ALIKE)
