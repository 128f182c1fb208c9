"""An image's features, computed tile by tile."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .backend import FeatureBackend, Features
from .freed_memory import give_back_freed_memory
from .terms import Cut
from .tiles import Tiler

#: Of a whole image's maps, by layer: (height, width).
Sizes = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class PartSeen:
    """A part of an image: its features, the sizes of the whole image's maps, and what takes the
    part's positions of those; the layer `image` may be cut as well."""

    features: Features
    sizes: Sizes
    cut: Cut

    @classmethod
    def whole(cls, features: Features) -> PartSeen:
        """The one part of an image that is not cut."""
        sizes = {layer: (maps.shape[2], maps.shape[3]) for layer, maps in features.items()}
        return cls(features, sizes, dict)


class See(Protocol):
    """How an image (1, 3, H, W) is seen by a network, as far as some of its layers."""

    def whole(self, image: Tensor, layers: Collection[str]) -> Features:
        """The maps of the whole image."""

    def parts(self, image: Tensor, layers: Collection[str]) -> Iterator[PartSeen]:
        """The same in parts, so that the maps of one part are held at a time."""


@dataclass(frozen=True)
class TiledFeatures(See):
    """What the backend gives for the tiles of an image; of an image that is not cut, to the bit."""

    backend: FeatureBackend
    tiler: Tiler

    def whole(self, image: Tensor, layers: Collection[str]) -> Features:
        """See See. The tiles' maps, put together."""
        maps: dict[str, Tensor] = {}
        tiles = self.tiler.tiles(*image.shape[2:])
        for tile, part in zip(tiles, self.parts(image, layers), strict=True):
            if len(tiles) == 1:
                return part.features
            for layer, own in part.features.items():
                if layer not in maps:
                    maps[layer] = own.new_empty(*own.shape[:2], *part.sizes[layer])
                tile.of_whole(maps)[layer].copy_(own)
        return maps

    def parts(self, image: Tensor, layers: Collection[str]) -> Iterator[PartSeen]:
        """See See."""
        tiles = self.tiler.tiles(*image.shape[2:])
        if len(tiles) == 1:
            yield PartSeen.whole(self.backend.features(image, layers))
            return
        sizes = self.sizes(image, layers)
        for tile in tiles:
            features = self.backend.features(tile.crop(image), layers)
            yield PartSeen(tile.of_crop(features), sizes, tile.of_whole)
            del features
            give_back_freed_memory()

    def sizes(self, image: Tensor, layers: Collection[str]) -> Sizes:
        """(height, width) of the maps. The last tile's end where the whole image's do."""
        *others, last = self.tiler.tiles(*image.shape[2:])
        features = self.backend.features(last.crop(image), layers)
        return last.sizes_of_whole(features) if others else PartSeen.whole(features).sizes


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
