"""Estimates of the memory that a result takes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..interfaces.backbone import LayerInfo

#: Memory at the peak, in units of the activations that the layers hold: what the forward pass
#: keeps, gradients, temporary copies, and unused gaps between them. Measured on whole runs of the
#: torch backend with VGG-19: 1.7 at 1024 px, 1.3 at 1600 px.
_OVERHEAD = 1.9
#: The same for tiles, of which there are copies without the halo; measured at 1600 px.
_OVERHEAD_OF_TILES = 3.2
#: Images beside the optimizer's: the content, and what terms that read the pixels hold at a time.
_OTHER_IMAGES = 7
_IMAGE_BYTES = 4 * 3


@dataclass(frozen=True)
class MemoryEstimate:
    """What a step takes, beside what the program holds anyway.

    - `network`: bytes for each pixel that the network sees at a time.
    - `result`: bytes for each pixel of the result; `content`: those that are needed in addition if
      it is cut into tiles.
    - `styles`: bytes of all style images.
    """

    network: float
    result: float
    content: float
    styles: int

    def uncut(self, pixels: int) -> int:
        """Bytes, for the result as a whole."""
        return round(pixels * (self.network + self.result)) + self.styles

    def cut(self, pixels: int, crop_pixels: int) -> int:
        """Bytes, for the result in tiles."""
        of_result = pixels * (self.result + self.content)
        return round(of_result + crop_pixels * self._network_of_tiles) + self.styles

    def most_crop_pixels(self, pixels: int, available: int) -> int:
        """Pixels that a tile's crop may have; negative where the result alone is too much."""
        return int((available - self.cut(pixels, 0)) // self._network_of_tiles)

    @property
    def _network_of_tiles(self) -> float:
        return self.network * _OVERHEAD_OF_TILES / _OVERHEAD


@dataclass(frozen=True)
class NetworkCost:
    """Floating-point numbers for each image pixel: `activations` of all layers that are evaluated,
    and `content` features that loss terms keep."""

    activations: float
    content: float

    @classmethod
    def of(
        cls, layers: Sequence[LayerInfo], deepest: LayerInfo, content_layers: Collection[str]
    ) -> NetworkCost:
        """Of a network's `layers`, evaluated up to the `deepest`, for loss terms that keep the
        content's features at `content_layers` (a layer counts as often as it is named)."""
        evaluated = layers[: layers.index(deepest) + 1]
        floats = {info.name: info.channels / info.stride**2 for info in evaluated}
        return cls(sum(floats.values()), sum(floats[layer] for layer in content_layers))

    def estimate(self, images_held: int, style_pixels: int) -> MemoryEstimate:
        """With an optimizer that holds so many images, and style images of so many pixels."""
        return MemoryEstimate(
            network=4 * _OVERHEAD * self.activations,
            result=_IMAGE_BYTES * (images_held + _OTHER_IMAGES),
            content=4 * self.content,
            styles=_IMAGE_BYTES * style_pixels,
        )
