"""Features of an image, computed tile by tile."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from ..interfaces.backend import FeatureBackend, Features
from ..interfaces.terms import Cut
from ..machine.malloc import return_freed_memory
from ..sizes.fitting import Size
from ..sizes.tiles import Tiler
from .tile_views import crop, of_crop, of_whole, sizes_of_whole

#: Layer -> (height, width) of the whole image's map.
Sizes = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class FeaturePart:
    """Features of a part of an image.

    - `features`: the part's maps, by layer.
    - `sizes`: (height, width) of the whole image's maps, by layer.
    - `cut`: function that selects the part's positions of the whole image's maps; the layer `image`
      may be cut as well.
    """

    features: Features
    sizes: Sizes
    cut: Cut

    @classmethod
    def whole(cls, features: Features) -> FeaturePart:
        """Return the single part of an image that is not cut."""
        sizes = {layer: (maps.shape[2], maps.shape[3]) for layer, maps in features.items()}
        return cls(features, sizes, dict)


class FeatureReader(Protocol):
    """Reader of the features of an image (1, 3, H, W) at some layers."""

    def whole(self, image: Tensor, layers: Collection[str]) -> Features:
        """Return the maps of the whole image."""

    def parts(self, image: Tensor, layers: Collection[str]) -> Iterator[FeaturePart]:
        """Yield the maps part by part, so that those of only one part are held at a time."""

    def part_count(self, size: Size) -> int:
        """Return the number of parts of an image of `size` (height, width)."""


@dataclass(frozen=True)
class TiledFeatures(FeatureReader):
    """Features that a backend computes for the tiles of an image.

    For an image that is not cut, they are the backend's features, bit for bit.
    """

    backend: FeatureBackend
    tiler: Tiler

    def whole(self, image: Tensor, layers: Collection[str]) -> Features:
        """Return the tiles' maps, put together; see FeatureReader.whole."""
        maps: dict[str, Tensor] = {}
        tiles = self.tiler.tiles(*image.shape[2:])
        for tile, part in zip(tiles, self.parts(image, layers), strict=True):
            if len(tiles) == 1:
                return part.features
            for layer, values in part.features.items():
                if layer not in maps:
                    maps[layer] = values.new_empty(*values.shape[:2], *part.sizes[layer])
                of_whole(tile, maps)[layer].copy_(values)
            del part, values  # freed before the next tile's are computed
        return maps

    def parts(self, image: Tensor, layers: Collection[str]) -> Iterator[FeaturePart]:
        """Yield one part for each tile; see FeatureReader.parts."""
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

    def part_count(self, size: Size) -> int:
        """Return the number of tiles; see FeatureReader.part_count."""
        return math.prod(self.tiler.counts(*size))

    def sizes(self, image: Tensor, layers: Collection[str]) -> Sizes:
        """Return (height, width) of the whole image's maps, computed from the last tile's."""
        *others, last = self.tiler.tiles(*image.shape[2:])
        features = self.backend.features(crop(last, image), layers)
        return sizes_of_whole(last, features) if others else FeaturePart.whole(features).sizes


def deviation(backend: FeatureBackend, tiler: Tiler) -> float:
    """Return the deviation of the features in tiles from those of the whole image.

    It is the largest difference in any layer, relative to the layer's largest value, for a small
    noise image in 2 x 2 tiles; each tile's crop ends within the image on two sides. If the halo is
    large enough, it is about the precision that the network runs in. It is infinite if the halo is
    so small that a crop lacks some of its tile's positions, as may be in a network without padding.
    """
    tile_side = tiler.halo + tiler.unit
    side = 2 * tile_side + tiler.unit // 2 + 1
    noise = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    image = noise.to(backend.device)
    small_tiler = Tiler(tiler.strides, tiler.halo, tile_side, side * side - 1)
    untiled = backend.features(image)
    scales = {layer: maps.abs().max().clamp_min(1e-12) for layer, maps in untiled.items()}
    differences = [torch.zeros(())]
    for part in TiledFeatures(backend, small_tiler).parts(image, backend.layers):
        expected = part.cut(untiled)
        for layer, maps in part.features.items():
            if maps.shape != expected[layer].shape:
                return math.inf
            if maps.numel():
                difference = (maps - expected[layer]).abs().max() / scales[layer]
                differences.append(difference.cpu())
    return torch.stack(differences).max().item()
