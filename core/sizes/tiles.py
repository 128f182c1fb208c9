"""Tiles: parts of an image whose features are the same as in the whole image.

Each position of each layer belongs to one tile. The network evaluates the tile's crop, which is
larger by a halo on each side where the image continues; the halo covers at least the receptive
field of a position of the deepest layer. At the image's border the crop ends, and the network's
padding acts as in the whole image. Tiles and crops begin at multiples of every stride, so that the
windows of convolutions and poolings fall on the same pixels as in the whole image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import lcm


@dataclass(frozen=True)
class Span:
    """Extent of a tile in one direction, in pixels.

    - `start`, `end`: the tile's own pixels.
    - `first`, `stop`: the pixels of its crop.
    - `last`: whether it is the last tile in this direction, which has the remaining positions of
      each layer.
    """

    start: int
    end: int
    first: int
    stop: int
    last: bool

    def in_whole(self, stride: int) -> slice:
        """Return the tile's own positions in the whole image's map of a layer."""
        return slice(self.start // stride, None if self.last else self.end // stride)

    def in_crop(self, stride: int) -> slice:
        """Return the tile's own positions in the crop's map of a layer."""
        start, end = self.start - self.first, self.end - self.first
        return slice(start // stride, None if self.last else end // stride)


@dataclass(frozen=True)
class Tile:
    """A part of an image; `strides` are those of the layers, in pixels."""

    rows: Span
    columns: Span
    strides: Mapping[str, int]

    @property
    def crop_size(self) -> tuple[int, int]:
        """Size of the crop as (height, width), in pixels."""
        return self.rows.stop - self.rows.first, self.columns.stop - self.columns.first


@dataclass(frozen=True)
class Tiler:
    """Rule for cutting images into tiles, for the layers of a network. Lengths are in pixels.

    - `strides`: the stride of each layer whose features are needed.
    - `halo`: width of the halo: at least the part of the receptive field of a position of the
      deepest layer that lies beyond its own pixels on one side; a multiple of all strides.
    - `least`: smallest side of a tile without its halo; shorter images are not cut in that
      direction.
    - `most`: largest number of pixels of a crop, as far as an image can be cut so finely. None: no
      image is cut.
    """

    strides: Mapping[str, int]
    halo: int
    least: int
    most: int | None

    @classmethod
    def uncut(cls) -> Tiler:
        """Return the tiler for which each image is one tile."""
        return cls({}, 0, 1, None)

    @property
    def unit(self) -> int:
        """Length in pixels at whose multiples tiles begin."""
        return lcm(*self.strides.values())

    def tiles(self, height: int, width: int) -> tuple[Tile, ...]:
        """Return the tiles of an image, row by row."""
        row_count, column_count = self._counts(height, width)
        rows, columns = self.spans(height, row_count), self.spans(width, column_count)
        return tuple(Tile(row, column, self.strides) for row in rows for column in columns)

    def spans(self, side: int, count: int) -> list[Span]:
        """Return `count` tiles that divide a side as evenly as the strides allow."""
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
        """Return the number of rows and of columns of tiles.

        They give the fewest tiles whose crops have at most `most` pixels each, and among those the
        fewest pixels in all crops together. If no cut has such small crops, they give the smallest
        tiles possible.
        """
        if self.most is None or height * width <= self.most:
            return 1, 1
        candidates: list[tuple[int, int, tuple[int, int]]] = []
        tallest = dict(self._crop_sides(height))
        widest = dict(self._crop_sides(width))
        for rows, tall in tallest.items():
            columns = next((n for n, wide in widest.items() if tall * wide <= self.most), None)
            if columns is not None:
                crop_pixels = rows * tall * columns * widest[columns]
                candidates.append((rows * columns, crop_pixels, (rows, columns)))
        return min(candidates)[2] if candidates else (max(tallest), max(widest))

    def _crop_sides(self, side: int) -> Iterator[tuple[int, int]]:
        """Yield each number of tiles that a side can be cut into, with the longest crop's side."""
        for count in range(1, max(1, side // self.unit // -(-self.least // self.unit)) + 1):
            yield count, max(span.stop - span.first for span in self.spans(side, count))


def tiler_for(
    strides: Mapping[str, int], receptive_field: int, smallest_side: int, most: int | None
) -> Tiler:
    """Return the tiler for layers with these strides, in pixels.

    `receptive_field` is the deepest layer's; that layer requires images of at least `smallest_side`
    pixels. Tiles are no smaller than two halos, since smaller ones would consist mostly of halo.
    """
    unit = lcm(*strides.values())
    halo = -(-(receptive_field // 2) // unit) * unit
    return Tiler(strides, halo, max(2 * halo, smallest_side + unit), most)
