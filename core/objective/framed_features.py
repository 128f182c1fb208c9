"""Features of images that do not wrap around, as references for a result that does."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from ..interfaces.backend import FeatureBackend, Features
from ..sizes.fitting import Size
from .tiled_features import FeaturePart, FeatureReader

#: Width of the mirrored frame, in strides of the deepest layer. The layer's receptive field is
#: larger, but depends little on what lies beyond the frame.
_FRAME = 4


@dataclass(frozen=True)
class FramedFeatures(FeatureReader):
    """Features of images that do not wrap around, from a network that does.

    See `framed_features`.
    """

    backend: FeatureBackend
    stride: int

    def whole(self, image: Tensor, layers: Collection[str]) -> Features:
        """Return the maps of the whole image; see FeatureReader.whole."""
        return framed_features(self.backend, image, layers, self.stride)

    def parts(self, image: Tensor, layers: Collection[str]) -> Iterator[FeaturePart]:
        """Yield the image as its single part; see FeatureReader.parts."""
        yield FeaturePart.whole(self.whole(image, layers))

    def part_count(self, size: Size) -> int:
        """Return 1; see FeatureReader.part_count."""
        return 1


def framed_features(
    backend: FeatureBackend, image: Tensor, layers: Collection[str], stride: int
) -> Features:
    """Return the features of an image that does not wrap around, from a network that does.

    The network would see an edge where the opposite sides of the image (N, 3, H, W) meet, and the
    result would get such edges. The image is therefore framed by its mirror image, and the frame's
    positions are removed from the features.

    `stride` is that of the deepest layer; both sides of the image are at least as long.
    """
    (top, bottom), (left, right) = (_frame(side, stride) for side in image.shape[2:])
    framed = functional.pad(image, (left, right, top, bottom), mode="reflect")
    cropped = {}
    for name, features in backend.features(framed, layers).items():
        step = framed.shape[2] // features.shape[2]
        rows, columns = (side // step for side in image.shape[2:])
        cropped[name] = features[:, :, top // step :, left // step :][:, :, :rows, :columns]
    return cropped


def _frame(side: int, stride: int) -> tuple[int, int]:
    """Return the widths of the frame before and after a side, in pixels.

    The width before the side and the length of the framed side are multiples of `stride`.
    """
    before = min(_FRAME, (side - 1) // stride) * stride
    longest = side + before + min(before + stride - 1, side - 1)
    return before, longest // stride * stride - side - before
