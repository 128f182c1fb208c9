"""Estimates of the memory that a result needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..interfaces.backbone import LayerInfo

#: Peak memory, in units of the layers' activations: those that the forward pass keeps, gradients,
#: temporary copies, and unused gaps between them. Measured on whole runs of the torch backend with
#: VGG-19: 1.7 at 1024 px, 1.3 at 1600 px.
_OVERHEAD = 1.9
#: The same for tiles, which are also copied without their halo; measured at 1600 px.
_OVERHEAD_OF_TILES = 3.2
#: Images beside the optimizer's: the content, and those that terms of the pixels hold at a time.
_OTHER_IMAGES = 7
_IMAGE_BYTES = 4 * 3


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory that a step needs, beside what the program holds anyway.

    - `network`: bytes for each pixel that the network evaluates at a time.
    - `result`: bytes for each pixel of the result.
    - `content`: further bytes for each pixel of a result that is cut into tiles.
    - `styles`: bytes of all style images.
    """

    network: float
    result: float
    content: float
    styles: int

    def uncut(self, pixels: int) -> int:
        """Return the bytes for a result of `pixels` that is not cut into tiles."""
        return round(pixels * (self.network + self.result)) + self.styles

    def cut(self, pixels: int, crop_pixels: int) -> int:
        """Return the bytes for a result of `pixels` in tiles, whose crops have `crop_pixels`."""
        result_bytes = pixels * (self.result + self.content)
        return round(result_bytes + crop_pixels * self._network_of_tiles) + self.styles

    def most_crop_pixels(self, pixels: int, available: int) -> int:
        """Return the most pixels that a tile's crop may have, for `available` bytes.

        The number is negative if the result alone needs more.
        """
        return int((available - self.cut(pixels, 0)) // self._network_of_tiles)

    @property
    def _network_of_tiles(self) -> float:
        return self.network * _OVERHEAD_OF_TILES / _OVERHEAD


@dataclass(frozen=True)
class NetworkCost:
    """Memory cost of a network, in floating-point numbers for each image pixel.

    `activations` counts those of all layers that are evaluated, `content` the features of the
    content image that loss terms keep.
    """

    activations: float
    content: float

    @classmethod
    def of(
        cls, layers: Sequence[LayerInfo], deepest: LayerInfo, content_layers: Collection[str]
    ) -> NetworkCost:
        """Return the cost of a network's `layers`, evaluated up to the `deepest`.

        Loss terms keep the content's features at `content_layers`; a layer counts as often as it is
        named.
        """
        evaluated = layers[: layers.index(deepest) + 1]
        floats = {info.name: info.channels / info.stride**2 for info in evaluated}
        return cls(sum(floats.values()), sum(floats[layer] for layer in content_layers))

    def estimate(self, images_held: int, style_pixels: int) -> MemoryEstimate:
        """Return the memory of a step.

        The optimizer holds `images_held` images; the style images have `style_pixels` in all.
        """
        return MemoryEstimate(
            network=4 * _OVERHEAD * self.activations,
            result=_IMAGE_BYTES * (images_held + _OTHER_IMAGES),
            content=4 * self.content,
            styles=_IMAGE_BYTES * style_pixels,
        )
