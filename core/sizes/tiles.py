"""Tiles: how an image is cut, so that a network sees each part as it sees it in the whole.

Each position of each layer belongs to one tile. The network sees a crop, which is a halo larger on
each side where the image continues: at least as far as a position of the deepest layer sees. At the
image's border the crop ends, and the network's padding acts as it does there. Tiles and crops begin
at multiples of every stride, so that the windows of convolutions and poolings fall on the same
pixels as in the whole image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import lcm


@dataclass(frozen=True)
class Span:
    """A tile in one direction, in pixels: its own from `start` to `end`, the crop's from `first` to
    `stop`. The `last` one has what is left of each layer's positions."""

    start: int
    end: int
    first: int
    stop: int
    last: bool

    def in_whole(self, stride: int) -> slice:
        """Its own positions in the whole image's map of a layer."""
        return slice(self.start // stride, None if self.last else self.end // stride)

    def in_crop(self, stride: int) -> slice:
        """The same positions in the crop's map."""
        start, end = self.start - self.first, self.end - self.first
        return slice(start // stride, None if self.last else end // stride)


@dataclass(frozen=True)
class Tile:
    """A part of an image; `strides` are the layers', in pixels."""

    rows: Span
    columns: Span
    strides: Mapping[str, int]

    @property
    def crop_size(self) -> tuple[int, int]:
        """(height, width) in pixels of what the network sees."""
        return self.rows.stop - self.rows.first, self.columns.stop - self.columns.first


@dataclass(frozen=True)
class Tiler:
    """How images are cut for a network's layers. All but `strides` are in pixels:

    - `strides`: those of the layers that are wanted.
    - `halo`: at least what a position of the deepest layer sees beyond its own pixels, to each
      side; a multiple of all strides.
    - `least`: a tile's own side, at least; shorter images are not cut in that direction.
    - `most`: pixels of a crop, if an image can be cut so finely. None: no image is cut.
    """

    strides: Mapping[str, int]
    halo: int
    least: int
    most: int | None

    @classmethod
    def uncut(cls) -> Tiler:
        """Each image is one tile."""
        return cls({}, 0, 1, None)

    @property
    def unit(self) -> int:
        """What tiles begin at multiples of."""
        return lcm(*self.strides.values())

    def tiles(self, height: int, width: int) -> tuple[Tile, ...]:
        """The tiles of an image, row by row."""
        row_count, column_count = self._counts(height, width)
        rows, columns = self.spans(height, row_count), self.spans(width, column_count)
        return tuple(Tile(row, column, self.strides) for row in rows for column in columns)

    def spans(self, side: int, count: int) -> list[Span]:
        """`count` tiles that divide a side, as even as the strides allow."""
        unit, units = self.unit, side // self.unit
        edges = [units * number // count * unit for number in range(count)] + [side]
        return [
            Span(
                start,
                end,
                first=max(start - self.halo, 0),
                stop=min(end + self.halo, side),
                last=end == side,
            )
            for start, end in pairwise(edges)
        ]

    def _counts(self, height: int, width: int) -> tuple[int, int]:
        """(rows, columns): the fewest tiles whose crops have at most `most` pixels, and of those
        the ones with the least halo; the finest there are, if none are so small."""
        if self.most is None or height * width <= self.most:
            return 1, 1
        found: list[tuple[int, int, tuple[int, int]]] = []
        tallest = dict(self._crop_sides(height))
        widest = dict(self._crop_sides(width))
        for rows, tall in tallest.items():
            columns = next((n for n, wide in widest.items() if tall * wide <= self.most), None)
            if columns is not None:
                seen = rows * tall * columns * widest[columns]
                found.append((rows * columns, seen, (rows, columns)))
        return min(found)[2] if found else (max(tallest), max(widest))

    def _crop_sides(self, side: int) -> Iterator[tuple[int, int]]:
        """Into how many tiles a side can be cut, and the longest crop's side."""
        for count in range(1, max(1, side // self.unit // -(-self.least // self.unit)) + 1):
            yield count, max(span.stop - span.first for span in self.spans(side, count))


def tiler_for(
    strides: Mapping[str, int], receptive_field: int, smallest_side: int, most: int | None
) -> Tiler:
    """For layers whose deepest position sees `receptive_field` pixels and needs an image of
    `smallest_side`. Smaller tiles than two halos would see more halo than anything else."""
    unit = lcm(*strides.values())
    halo = -(-(receptive_field // 2) // unit) * unit
    return Tiler(strides, halo, max(2 * halo, smallest_side + unit), most)
