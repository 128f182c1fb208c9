"""Pictures that are judged: their pixels and their activations in VGG-19."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ...backends.pytorch.backend import TorchBackend
from ...backends.pytorch.options import TorchOptions
from ...core.errors import ImageError, MemoryLimitError, UsageError
from ...core.images.alpha import without_hidden_colors
from ...core.images.decoding import read_image
from ...core.images.reduction import AtSizes
from ...core.interfaces.backend import FeatureBackend
from ...core.interfaces.source_image import SourceImage
from ...core.memory.limits import memory_budget
from ...core.sizes.fitting import Size, fit
from ...plugins.backbones.vgg19 import VGG19, VGG19Options

#: Layers of Gatys, Ecker and Bethge (2015), which all scores read.
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
#: Stride of relu4_1 in pixels.
STRIDE = 8

#: Shortest side in pixels: relu5_1 has four positions along it.
_LEAST_SIDE = 64
#: Memory for each pixel: five layers (0.5 KB) of four pictures, the same again while the network
#: runs, and a chunk of self-similarities.
_BYTES_PER_PIXEL = 5000
#: Most that the aspect ratios of two results, or of a result and its content, differ: sizes are
#: rounded to whole pixels, and to whole strides of a network.
_ASPECT_TOLERANCE = 0.06


@dataclass(frozen=True)
class Picture:
    """Picture with its activations.

    - `image`: (1, 3, H, W), float32 in [0, 1], sRGB-encoded.
    - `features`: activations (C, H', W') of `LAYERS`, float32.
    """

    image: Tensor
    features: Mapping[str, Tensor]


@dataclass(frozen=True)
class Pictures:
    """Pictures of one judgement, all on the CPU.

    The results and the content image have one size. The style image has its own aspect ratio, and
    a long side no longer than theirs; `stretched_style` is the style image at their size.
    `results` are evaluated one at a time, in their order. `notices` say how the files were read.
    """

    results: Iterator[Picture]
    content: Picture
    style: Picture
    stretched_style: Picture
    notices: tuple[str, ...]

    @property
    def size(self) -> Size:
        """Size of the results: (height, width) in pixels."""
        height, width = self.content.image.shape[2:]
        return height, width


@contextmanager
def open_pictures(
    results: Sequence[str], content: str, style: str, size: int
) -> Iterator[Pictures]:
    """Read the files of a judgement, and open the network that evaluates them.

    The long side of the results becomes `size`, or that of the smallest result if it is less.
    Raises UsageError for a missing file and for a content image or result of another aspect ratio
    than the first result's, ImageError for a file that cannot be used or is too small, and
    MemoryLimitError for a `size` that the free memory does not suffice for.
    """
    sources = {path: _read(path, size) for path in dict.fromkeys((*results, content, style))}
    long_side = min(size, *(max(sources[path].size) for path in results))
    common = fit(sources[results[0]].size, long_side)
    style_size = fit(sources[style].size, long_side)
    for path, (height, width) in ((results[0], common), (style, style_size)):
        if min(height, width) < _LEAST_SIDE:
            raise ImageError(
                f"{path}: compared at {width}x{height} px, which is too small to judge; each side "
                f"needs {_LEAST_SIDE} px"
            )
    for path in (content, *results[1:]):
        _check_aspect(sources[path], sources[results[0]])
    _check_memory(common)
    notices = tuple(notice for source in sources.values() for notice in source.notices)
    with _network() as network:
        yield Pictures(
            (picture_of(sources[path].tensor(*common), network) for path in results),
            picture_of(sources[content].tensor(*common), network),
            picture_of(sources[style].tensor(*style_size), network),
            picture_of(sources[style].tensor(*common), network),
            notices,
        )


def picture_of(image: Tensor, network: FeatureBackend) -> Picture:
    """Return an image (1, 3, H, W) with its activations."""
    features = network.features(image)
    return Picture(image, {layer: features[layer][0].cpu().contiguous() for layer in LAYERS})


@contextmanager
def _network() -> Iterator[FeatureBackend]:
    """Open VGG-19 with the embedded weights, in float32 on the CPU, alike on all machines."""
    options = TorchOptions(device="cpu")
    with TorchBackend(VGG19(VGG19Options()), LAYERS, options) as network, torch.no_grad():
        yield network


def _read(path: str, long_side: int) -> SourceImage:
    """Read an image; large ones are kept at twice the long side that is used."""
    used = AtSizes(lambda size: [fit(size, 2 * long_side)])
    return without_hidden_colors(read_image(path, use=used))


def _check_memory(size: Size) -> None:
    """Raise MemoryLimitError if pictures of this size do not fit into the free memory."""
    height, width = size
    needed = _BYTES_PER_PIXEL * height * width
    free = memory_budget(None, torch.device("cpu"))
    if needed > free.available:
        raise MemoryLimitError(
            f"out of memory: judging at {width}x{height} px takes about {needed / 1e9:.1f} GB and "
            f"{free}; choose a smaller `size`"
        )


def _check_aspect(image: SourceImage, first: SourceImage) -> None:
    (height, width), (first_height, first_width) = image.size, first.size
    ratio = (width * first_height) / (height * first_width)
    if not 1 - _ASPECT_TOLERANCE < ratio < 1 + _ASPECT_TOLERANCE:
        raise UsageError(
            f"{image.path} has {width}x{height} px and {first.path} {first_width}x{first_height}: "
            "the results and their content image must have one aspect ratio"
        )
