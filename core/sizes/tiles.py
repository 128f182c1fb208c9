"""Tiles: parts of an image whose features are the same as in the whole image.

Each position of each layer belongs to one tile. The network evaluates the tile's crop, which is
larger by a halo on each side where the image continues; the halo covers at least the receptive
field of a position of the deepest layer. At the image's border the crop ends, and the network's
padding acts as in the whole image. Tiles and crops begin at multiples of every stride, so that the
windows of convolutions and poolings fall on the same pixels as in the whole image.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
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
        row_count, column_count = self.counts(height, width)
        rows, columns = self.spans(height, row_count), self.spans(width, column_count)
        return tuple(Tile(row, column, self.strides) for row in rows for column in columns)

    def spans(self, side: int, count: int) -> list[Span]:
        """Return `count` tiles that divide a side as evenly as the strides allow."""
        return [self._span(side, count, number) for number in range(count)]

    def counts(self, height: int, width: int) -> tuple[int, int]:
        """Return the number of rows and of columns of an image's tiles.

        They give the fewest tiles whose crops have at most `most` pixels each, and among those the
        fewest pixels in all crops together. If no cut has such small crops, they give the smallest
        tiles possible.
        """
        if self.most is None or height * width <= self.most:
            return 1, 1
        talls, wides = self._longest_crops(height), self._longest_crops(width)
        # The least width so far falls, so that the first small enough one is found by bisection.
        least_wides = [-wide for wide in accumulate(wides, min)]
        candidates: list[tuple[int, int, tuple[int, int]]] = []
        for rows, tall in enumerate(talls, 1):
            columns = 1 + bisect_left(least_wides, -(self.most // tall))
            if columns <= len(wides):
                crop_pixels = rows * tall * columns * wides[columns - 1]
                candidates.append((rows * columns, crop_pixels, (rows, columns)))
        return min(candidates)[2] if candidates else (len(talls), len(wides))

    def crop_sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Return the different sizes (height, width) of an image's crops, the most frequent last.

        The tiles are not listed for it: a huge image may have many millions.
        """
        row_count, column_count = self.counts(height, width)
        talls, wides = self._crops(height, row_count), self._crops(width, column_count)
        frequencies = {
            (tall, wide): rows * columns
            for tall, rows in talls.items()
            for wide, columns in wides.items()
        }
        return sorted(frequencies, key=lambda size: (frequencies[size], size))

    def _longest_crops(self, side: int) -> list[int]:
        """Return the longest crop's side for 1, 2, ... tiles, as many as fit a side."""
        least_units = -(-max(self.least, self.halo) // self.unit)
        most_tiles = max(1, side // self.unit // least_units)
        return [max(self._crops(side, count)) for count in range(1, most_tiles + 1)]

    def _crops(self, side: int, count: int) -> dict[int, int]:
        """Return the sides of the crops of `count` tiles, and the number of crops of each side.

        A tile has the length that the division of the side gives, or one unit more; the last one
        is of the longer tiles if there are any. No tile is shorter than the halo, so that only the
        first crop and the last one end at the border of the image.
        """
        ends = {self._span(side, count, number) for number in (0, count - 1)}
        crops = Counter(span.stop - span.first for span in ends)
        inner = count - 2
        if inner > 0:
            length, remainder = divmod(side // self.unit, count)
            longer = max(remainder - 1, 0)
            crops[length * self.unit + 2 * self.halo] += inner - longer
            crops[(length + 1) * self.unit + 2 * self.halo] += longer
        return +crops  # without the sides of no crop

    def _span(self, side: int, count: int, number: int) -> Span:
        """Return the tile `number`, from 0, of the `count` tiles that divide a side."""
        unit, units, last = self.unit, side // self.unit, number == count - 1
        start = units * number // count * unit
        end = side if last else units * (number + 1) // count * unit
        return Span(start, end, max(start - self.halo, 0), min(end + self.halo, side), last)


@dataclass(frozen=True)
class Tilers:
    """The tilers of one scale: of the result and the content image, and of the style images."""

    result: Tiler = Tiler({}, 0, 1, None)
    styles: Tiler = Tiler({}, 0, 1, None)


def tiler_for(
    strides: Mapping[str, int],
    receptive_field: int,
    smallest_side: int,
    most: int | None,
    halos: int = 1,
) -> Tiler:
    """Return the tiler for layers with these strides, in pixels.

    `receptive_field` is the deepest layer's; that layer requires images of at least `smallest_side`
    pixels. The halo is `halos` times half the receptive field. Tiles are no smaller than two halos,
    since smaller ones would consist mostly of halo.
    """
    unit = lcm(*strides.values())
    halo = halos * -(-(receptive_field // 2) // unit) * unit
    return Tiler(strides, halo, max(2 * halo, smallest_side + unit), most)
