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
#: Memory of an evaluation without a gradient, in units of the largest layer, beside that of all
#: layers. Measured with VGG-19: ONNX Runtime takes 1.2 times all layers, torch all that are asked
#: for and twice the largest; the statistics of the terms copy some of them.
_LARGEST_LAYERS = 2
#: Images beside the optimizer's: the content, and those that terms of the pixels hold at a time.
_OTHER_IMAGES = 7
#: Images of the result's size while the terms are bound: the content, the start, and what became
#: of the previous scale.
_IMAGES_WHILE_BINDING = 4
_IMAGE_BYTES = 4 * 3
#: A style image while it is resampled: Pillow's images and the conversions to a tensor.
_RESAMPLING_BYTES = 3 * _IMAGE_BYTES


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory that a scale needs, beside what the program holds anyway.

    - `network`: bytes for each pixel that the network evaluates at a time, with the gradient.
    - `forward`: bytes for each pixel that it evaluates at a time without a gradient.
    - `result`: bytes for each pixel of the result.
    - `content`: further bytes for each pixel of a result that is cut into tiles.
    - `style_image`: bytes for each pixel of the style image that is evaluated.
    - `style_features`: bytes of the style images' features that loss terms keep.
    """

    network: float
    forward: float
    result: float
    content: float
    style_image: float
    style_features: int

    def uncut(self, pixels: int) -> int:
        """Return the bytes of a step for a result of `pixels` that is not cut into tiles."""
        return round(pixels * (self.network + self.result)) + self.style_features

    def cut(self, pixels: int, crop_pixels: int) -> int:
        """Return the bytes of a step for a result in tiles, whose crops have `crop_pixels`."""
        result_bytes = pixels * (self.result + self.content)
        return round(result_bytes + crop_pixels * self._network_of_tiles) + self.style_features

    def most_crop_pixels(self, pixels: int, available: int) -> int:
        """Return the most pixels that a tile's crop may have, for `available` bytes.

        The number is negative if the result alone needs more.
        """
        return int((available - self.cut(pixels, 0)) // self._network_of_tiles)

    def binding(self, pixels: int, style_pixels: int, crop_pixels: int) -> int:
        """Return the bytes while a style image is evaluated, before the first step.

        The result has `pixels`, the style image `style_pixels`; `crop_pixels` of them are evaluated
        at a time.
        """
        evaluated = style_pixels * self.style_image + crop_pixels * self.forward
        held = pixels * (_IMAGES_WHILE_BINDING * _IMAGE_BYTES + self.content)
        return round(held + max(evaluated, style_pixels * _RESAMPLING_BYTES)) + self.style_features

    def most_style_crop_pixels(self, pixels: int, style_pixels: int, available: int) -> int:
        """Return the most pixels of a style image that may be evaluated at a time.

        The number is negative if the images alone need more than the `available` bytes.
        """
        return int((available - self.binding(pixels, style_pixels, 0)) // self.forward)

    @property
    def _network_of_tiles(self) -> float:
        return self.network * _OVERHEAD_OF_TILES / _OVERHEAD


@dataclass(frozen=True)
class NetworkCost:
    """Memory cost of a network, in floating-point numbers for each image pixel.

    - `activations`: those of all layers that are evaluated; `largest`: of the largest of them.
    - `content`: the features of the content image that loss terms keep.
    - `styles`: the features of the style images that loss terms keep, for each pixel of those.
    - `mask`: a mask at the layers that loss terms read.
    """

    activations: float
    largest: float
    content: float
    styles: float
    mask: float

    @classmethod
    def of(
        cls,
        layers: Sequence[LayerInfo],
        read: Collection[str],
        content_layers: Collection[str],
        style_layers: Collection[str],
    ) -> NetworkCost:
        """Return the cost of a network's `layers`, evaluated up to the deepest that is `read`.

        Loss terms keep the content's features at `content_layers` and all styles' features at
        `style_layers`; a layer counts as often as it is named.
        """
        deepest = max(number for number, info in enumerate(layers) if info.name in read)
        floats = {info.name: info.channels / info.stride**2 for info in layers[: deepest + 1]}
        return cls(
            activations=sum(floats.values()),
            largest=max(floats.values()),
            content=sum(floats[layer] for layer in content_layers),
            styles=sum(floats[layer] for layer in style_layers),
            mask=1 + sum(1 / info.stride**2 for info in layers if info.name in read),
        )

    def estimate(self, images_held: int, masks: int, style_pixels: int) -> MemoryEstimate:
        """Return the memory of a scale.

        The optimizer holds `images_held` images, the job has `masks`; the style images have
        `style_pixels` in all.
        """
        masks_bytes = 4 * self.mask * masks
        return MemoryEstimate(
            network=4 * _OVERHEAD * self.activations,
            forward=4 * (self.activations + _LARGEST_LAYERS * self.largest),
            result=_IMAGE_BYTES * (images_held + _OTHER_IMAGES) + masks_bytes,
            content=4 * self.content,
            style_image=_IMAGE_BYTES + masks_bytes,
            style_features=round((4 * self.styles + _IMAGE_BYTES) * style_pixels)
            if self.styles
            else 0,
        )
