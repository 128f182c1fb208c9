"""An image's features, computed tile by tile."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from ..interfaces.backend import FeatureBackend, Features
from ..interfaces.terms import Cut
from ..malloc import return_freed_memory
from ..sizes.tiles import Tiler
from .tile_views import crop, of_crop, of_whole, sizes_of_whole

#: Of a whole image's maps, by layer: (height, width).
Sizes = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class FeaturePart:
    """A part of an image: its features, the sizes of the whole image's maps, and what takes the
    part's positions of those; the layer `image` may be cut as well."""

    features: Features
    sizes: Sizes
    cut: Cut

    @classmethod
    def whole(cls, features: Features) -> FeaturePart:
        """The one part of an image that is not cut."""
        sizes = {layer: (maps.shape[2], maps.shape[3]) for layer, maps in features.items()}
        return cls(features, sizes, dict)


class FeatureReader(Protocol):
    """How the features of an image (1, 3, H, W) are computed, as far as some layers."""

    def whole(self, image: Tensor, layers: Collection[str]) -> Features:
        """The maps of the whole image."""

    def parts(self, image: Tensor, layers: Collection[str]) -> Iterator[FeaturePart]:
        """The same in parts, so that the maps of one part are held at a time."""

    def part_count(self, image: Tensor) -> int:
        """The number of parts."""


@dataclass(frozen=True)
class TiledFeatures(FeatureReader):
    """What the backend gives for the tiles of an image; of an image that is not cut, to the bit."""

    backend: FeatureBackend
    tiler: Tiler

    def whole(self, image: Tensor, layers: Collection[str]) -> Features:
        """See FeatureReader. The tiles' maps, put together."""
        maps: dict[str, Tensor] = {}
        tiles = self.tiler.tiles(*image.shape[2:])
        for tile, part in zip(tiles, self.parts(image, layers), strict=True):
            if len(tiles) == 1:
                return part.features
            for layer, values in part.features.items():
                if layer not in maps:
                    maps[layer] = values.new_empty(*values.shape[:2], *part.sizes[layer])
                of_whole(tile, maps)[layer].copy_(values)
        return maps

    def parts(self, image: Tensor, layers: Collection[str]) -> Iterator[FeaturePart]:
        """See FeatureReader."""
        tiles = self.tiler.tiles(*image.shape[2:])
        if len(tiles) == 1:
            yield FeaturePart.whole(self.backend.features(image, layers))
            return
        sizes = self.sizes(image, layers)
        for tile in tiles:
            features = self.backend.features(crop(tile, image), layers)
            yield FeaturePart(of_crop(tile, features), sizes, partial(of_whole, tile))
            del features
            return_freed_memory()

    def part_count(self, image: Tensor) -> int:
        """See FeatureReader."""
        return len(self.tiler.tiles(*image.shape[2:]))

    def sizes(self, image: Tensor, layers: Collection[str]) -> Sizes:
        """(height, width) of the maps. The last tile's end where the whole image's do."""
        *others, last = self.tiler.tiles(*image.shape[2:])
        features = self.backend.features(crop(last, image), layers)
        return sizes_of_whole(last, features) if others else FeaturePart.whole(features).sizes


def deviation(backend: FeatureBackend, tiler: Tiler) -> float:
    """How far the features of a small noise image in 2 x 2 tiles, put together, are from those of
    the whole: the largest difference in any layer, relative to the layer's largest value.

    About the precision that the network runs in, where a tile sees all that it must see. Each
    tile's crop ends within the image on two sides.
    """
    least = tiler.halo + tiler.unit
    side = 2 * least + tiler.unit // 2 + 1
    noise = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    image = noise.to(backend.device)
    small = Tiler(tiler.strides, tiler.halo, least, side * side - 1)
    tiled = TiledFeatures(backend, small).whole(image, backend.layers)
    return max(
        ((tiled[layer] - maps).abs().max() / maps.abs().max().clamp_min(1e-12)).item()
        for layer, maps in backend.features(image).items()
    )
