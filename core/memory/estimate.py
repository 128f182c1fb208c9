"""Estimates of the memory that a result needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..interfaces.backbone import LayerInfo

#: Temporary arrays of an evaluation with its gradient, in units of the largest layer, beside the
#: `memory_factor` of the backend. Both were fitted to the peak memory of whole runs at 448 to 1600
#: px, with VGG-19 up to relu1_1, relu2_1, relu3_1 and relu5_1, with ResNet-50, DenseNet-121 and
#: Inception-v3: see docs/tiling.md.
_LARGEST_LAYERS = 4.5
#: The same for an evaluation without a gradient, which takes at most all layers beside it: ONNX
#: Runtime about as much; torch those that are asked for, and a copy of them for the statistics.
_LARGEST_LAYERS_FORWARD = 2.3
#: Further memory for tiles, in units of all layers. Their arrays are smaller, and malloc leaves
#: more gaps between small arrays; they are also copied without their halo. Measured with the torch
#: backend and VGG-19 in tiles of 0.15 to 0.3 million pixels.
_OVERHEAD_OF_TILES = 1.3
#: Copies of its layers' activations that a loss term works with, if it is no function of sums over
#: positions. Measured: 1.8 with `histogram`, which sorts them, 3.6 with `sliced-wasserstein`.
_COPIES_OF_TERMS = 4
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
    - `cutting`: further bytes for each pixel of a tile.
    - `result`: bytes for each pixel of the result.
    - `content`: bytes for each pixel of the content image's features that are kept.
    - `style_image`: bytes for each pixel of the style image that is evaluated.
    - `style_features`: bytes of the style images' features that loss terms keep.
    """

    network: float
    forward: float
    cutting: float
    result: float
    content: float
    style_image: float
    style_features: int

    def uncut(self, pixels: int) -> int:
        """Return the bytes of a step for a result of `pixels` that is not cut into tiles."""
        of_pixel = self.network + self.result + self.content
        return round(pixels * of_pixel) + self.style_features

    def cut(self, pixels: int, crop_pixels: int) -> int:
        """Return the bytes of a step for a result in tiles, whose crops have `crop_pixels`."""
        of_result = pixels * (self.result + self.content)
        of_tile = crop_pixels * (self.network + self.cutting)
        return round(of_result + of_tile) + self.style_features

    def most_crop_pixels(self, pixels: int, available: int) -> int:
        """Return the most pixels that a tile's crop may have, for `available` bytes.

        The number is negative if the result alone needs more.
        """
        return int((available - self.cut(pixels, 0)) // (self.network + self.cutting))

    def binding(self, pixels: int, style_pixels: int, crop_pixels: int) -> int:
        """Return the bytes while a style image is evaluated, before the first step.

        The result has `pixels`, the style image `style_pixels`; `crop_pixels` of them are evaluated
        at a time.
        """
        forward = self.forward + (self.cutting if crop_pixels < style_pixels else 0)
        evaluated = style_pixels * self.style_image + crop_pixels * forward
        held = pixels * (_IMAGES_WHILE_BINDING * _IMAGE_BYTES + self.content)
        return round(held + max(evaluated, style_pixels * _RESAMPLING_BYTES)) + self.style_features

    def most_style_crop_pixels(self, pixels: int, style_pixels: int, available: int) -> int:
        """Return the most pixels of a style image that may be evaluated at a time.

        The number is negative if the images alone need more than the `available` bytes.
        """
        left = available - self.binding(pixels, style_pixels, 0)
        return int(left // (self.forward + self.cutting))


@dataclass(frozen=True)
class NetworkCost:
    """Memory cost of a network, in floating-point numbers for each image pixel.

    - `activations`: those of all layers that are evaluated; `largest`: of the largest of them.
    - `content`: the features of the content image that loss terms keep.
    - `terms`: the features of the result that loss terms work with which cannot be cut into tiles.
    - `styles`: the features of the style images that those keep, for each pixel of these.
    - `mask`: a mask at the layers that loss terms read.
    """

    activations: float
    largest: float
    content: float
    terms: float
    styles: float
    mask: float

    @classmethod
    def of(
        cls,
        layers: Sequence[LayerInfo],
        read: Collection[str],
        content_layers: Collection[str],
        term_layers: Collection[str],
        style_layers: Collection[str],
    ) -> NetworkCost:
        """Return the cost of a network's `layers`, evaluated up to the deepest that is `read`.

        Loss terms keep the content's features at `content_layers`. Those that cannot be cut into
        tiles work with `term_layers`, and keep all styles' features at `style_layers`. A layer
        counts as often as it is named.
        """
        deepest = max(number for number, info in enumerate(layers) if info.name in read)
        floats = {info.name: info.channels / info.stride**2 for info in layers[: deepest + 1]}
        return cls(
            activations=sum(floats.values()),
            largest=max(floats.values()),
            content=sum(floats[layer] for layer in content_layers),
            terms=sum(floats[layer] for layer in term_layers),
            styles=sum(floats[layer] for layer in style_layers),
            mask=1 + sum(1 / info.stride**2 for info in layers if info.name in read),
        )

    def estimate(
        self, memory_factor: float, images_held: int, masks: int, style_pixels: int
    ) -> MemoryEstimate:
        """Return the memory of a scale.

        `memory_factor` is the backend's. The optimizer holds `images_held` images, the job has
        `masks`; the style images have `style_pixels` in all.
        """
        masks_bytes = 4 * self.mask * masks
        images_bytes = _IMAGE_BYTES * (images_held + _OTHER_IMAGES)
        return MemoryEstimate(
            network=4 * (memory_factor * self.activations + _LARGEST_LAYERS * self.largest),
            forward=4 * (self.activations + _LARGEST_LAYERS_FORWARD * self.largest),
            cutting=4 * _OVERHEAD_OF_TILES * self.activations,
            result=images_bytes + masks_bytes + 4 * _COPIES_OF_TERMS * self.terms,
            content=4 * self.content,
            style_image=_IMAGE_BYTES + masks_bytes,
            style_features=round((4 * self.styles + _IMAGE_BYTES) * style_pixels)
            if self.styles
            else 0,
        )
