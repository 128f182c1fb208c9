"""The sizes of a run, computed once: its scales, and the style images' sizes at each scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import ImageError, UsageError
from ..images.inputs import Inputs, StyleInput
from ..interfaces.backbone import LayerInfo
from ..interfaces.source_image import SourceImage
from ..job.model import Job
from ..sizes.fitting import Size, result_size, style_size, whole_strides
from ..sizes.pyramid import Scale, plan_scales


@dataclass(frozen=True)
class ScaleSizes:
    """A scale, and the size (height, width) of each style image at it, in pixels."""

    scale: Scale
    styles: tuple[Size, ...]

    @property
    def images(self) -> tuple[Size, ...]:
        """Sizes of all images that the network evaluates at the scale, the result's last."""
        return (*self.styles, self.scale.size)

    @property
    def style_pixels(self) -> int:
        """Number of pixels of all style images together."""
        return sum(height * width for height, width in self.styles)


def final_size(job: Job, inputs: Inputs, deepest: LayerInfo, stride: int) -> Size:
    """Return the size of a job's result, (height, width) in pixels.

    The network's `deepest` layer decides how small an image may be; `stride` is the network's
    largest stride. Raises ImageError when an image is too small for the network at the job's size,
    and UsageError when a texture is.
    """
    size = result_size(job.size, inputs.content.size if inputs.content else None, job.upscale)
    if job.seamless:
        size = whole_strides(size, stride)
    long_side = job.size if isinstance(job.size, int) else max(job.size)
    if inputs.content is None:
        _check_texture_size(size, deepest)
    else:
        _check_side(deepest, inputs.content, size, long_side)
    for style in inputs.styles:
        # Only the finest scale is checked: at coarser scales a style image keeps the pixels that
        # the network needs (see _size_at).
        scaled = style_size(style.image.size, style.relative_size, max(size))
        _check_side(deepest, style.image, scaled, long_side, style.relative_size)
    return size


def scale_sizes(
    job: Job, styles: Sequence[StyleInput], size: Size, deepest: LayerInfo, stride: int
) -> tuple[ScaleSizes, ...]:
    """Return the scales of a result of `size`, from coarse to fine, with the `styles`' sizes."""
    smallest = deepest.smallest_side
    scales = plan_scales(size, job.scales, job.iterations, smallest, stride if job.seamless else 1)
    return tuple(
        ScaleSizes(scale, tuple(_size_at(style, scale, smallest) for style in styles))
        for scale in scales
    )


def size_notices(job: Job, inputs: Inputs, size: Size) -> Iterator[str]:
    """Notices for the user about a result of `size` (height, width)."""
    content = inputs.content
    unrounded = result_size(job.size, content.size if content else None, job.upscale)
    if isinstance(job.size, int) and max(unrounded) < job.size:
        yield f"{job.content} has {max(unrounded)} px, and the result is no larger (see `upscale`)"
    if size != unrounded:
        yield (
            f"{size[1]}x{size[0]} px instead of {unrounded[1]}x{unrounded[0]}: a seamless result's "
            "sides are multiples of the deepest layer's stride"
        )
    for style in inputs.styles:
        long_side = max(style.image.size)
        scaled_side = max(style_size(style.image.size, style.relative_size, max(size)))
        if scaled_side > long_side:
            yield (
                f"{style.image.path} has {long_side} px and is enlarged to {scaled_side} px for "
                f"`style_size={style.relative_size:g}`; a larger image would be sharper"
            )


def _size_at(style: StyleInput, scale: Scale, smallest: int) -> Size:
    """Return the size of a style image at a scale.

    At coarse scales each side keeps the `smallest` number of pixels that the network needs.
    """
    height, width = style_size(style.image.size, style.relative_size, max(scale.size))
    return max(height, smallest), max(width, smallest)


def _check_texture_size(size: Size, deepest: LayerInfo) -> None:
    smallest = deepest.smallest_side
    if min(size) < smallest:
        height, width = size
        raise UsageError(
            f"`size={width}x{height}` is too small for the layer {deepest.name}, which needs "
            f"{smallest} px on each side; `size={max(width, smallest)}x{max(height, smallest)}` "
            "would do"
        )


def _check_side(
    deepest: LayerInfo, image: SourceImage, size: Size, long_side: int, relative_size: float = 1.0
) -> None:
    smallest = deepest.smallest_side
    if min(size) >= smallest:
        return
    height, width = image.size
    message = (
        f"{image.path}: {width}x{height} px is too small for the layer {deepest.name}, "
        f"which needs {smallest} px on the short side"
    )
    if relative_size != 1:
        needed_size = relative_size * smallest / min(size)
        message += (
            f"; `style_size={relative_size:g}` makes it {size[1]}x{size[0]}, "
            f"about `style_size={needed_size:.2g}` would do"
        )
    elif min(image.size) >= smallest:
        needed = -(-smallest * max(image.size) // min(image.size))
        message += f"; `size={long_side}` makes it {size[1]}x{size[0]}, `size={needed}` would do"
    raise ImageError(message)
