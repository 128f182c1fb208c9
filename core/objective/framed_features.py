"""Features of images that do not wrap, as references for a result that does."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from ..interfaces.backend import FeatureBackend, Features
from .tiled_features import FeaturePart, FeatureReader

#: Width of the mirror image around one that does not wrap, in strides of the deepest layer: it sees
#: further, but little.
_FRAME = 4


@dataclass(frozen=True)
class FramedFeatures(FeatureReader):
    """The features of images that do not wrap, from a network that does; see `framed_features`."""

    backend: FeatureBackend
    stride: int

    def whole(self, image: Tensor, layers: Collection[str]) -> Features:
        """See FeatureReader."""
        return framed_features(self.backend, image, layers, self.stride)

    def parts(self, image: Tensor, layers: Collection[str]) -> Iterator[FeaturePart]:
        """See FeatureReader. There is one."""
        yield FeaturePart.whole(self.whole(image, layers))

    def part_count(self, image: Tensor) -> int:
        """See FeatureReader."""
        return 1


def framed_features(
    backend: FeatureBackend, image: Tensor, layers: Collection[str], stride: int
) -> Features:
    """The layers of an image (N, 3, H, W) that does not continue at its opposite edges, from a
    network that wraps around. It would see the cut there, and the result would have such cuts in
    it; so the image is framed by its mirror image, and the frame's positions are left out.

    `stride` is the deepest layer's; both sides of the image are as long, at least.
    """
    (top, bottom), (left, right) = (_frame(side, stride) for side in image.shape[2:])
    framed = functional.pad(image, (left, right, top, bottom), mode="reflect")
    own = {}
    for name, features in backend.features(framed, layers).items():
        step = framed.shape[2] // features.shape[2]
        rows, columns = (side // step for side in image.shape[2:])
        own[name] = features[:, :, top // step :, left // step :][:, :, :rows, :columns]
    return own


def _frame(side: int, stride: int) -> tuple[int, int]:
    """Widths, in pixels, before and after a side: whole strides before, and in all."""
    before = min(_FRAME, (side - 1) // stride) * stride
    most = side + before + min(before + stride - 1, side - 1)
    return before, most // stride * stride - side - before
