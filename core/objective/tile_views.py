"""Views of a tile's parts of images and of layers' maps."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..interfaces.terms import IMAGE_LAYER
from ..sizes.tiles import Tile


def crop(tile: Tile, image: Tensor) -> Tensor:
    """Return the tile's crop of an image (N, C, H, W): the pixels that the network gets."""
    rows, columns = tile.rows, tile.columns
    return image[:, :, rows.first : rows.stop, columns.first : columns.stop]


def of_crop(tile: Tile, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tile's own positions of its crop's maps, by layer."""
    return {
        layer: values[:, :, tile.rows.in_crop(stride), tile.columns.in_crop(stride)]
        for layer, values in maps.items()
        for stride in [_stride(tile, layer)]
    }


def of_whole(tile: Tile, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tile's own positions of the whole image's maps, by layer."""
    return {
        layer: values[:, :, tile.rows.in_whole(stride), tile.columns.in_whole(stride)]
        for layer, values in maps.items()
        for stride in [_stride(tile, layer)]
    }


def sizes_of_whole(tile: Tile, maps: Mapping[str, Tensor]) -> dict[str, tuple[int, int]]:
    """Return (height, width) of the whole image's maps, from the maps of the last tile's crop.

    The last crop's maps end where the whole image's do.
    """
    return {
        layer: (
            tile.rows.first // _stride(tile, layer) + values.shape[2],
            tile.columns.first // _stride(tile, layer) + values.shape[3],
        )
        for layer, values in maps.items()
    }


def _stride(tile: Tile, layer: str) -> int:
    return 1 if layer == IMAGE_LAYER else tile.strides[layer]
