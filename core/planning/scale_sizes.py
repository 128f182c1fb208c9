"""The sizes of a run, computed once: its scales, and the style images' sizes at each scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import ImageError, UsageError
from ..images.color_transfer import recolored_size, recolors
from ..images.inputs import Inputs, StyleInput, UsedSizes
from ..interfaces.backbone import LayerInfo
from ..interfaces.source_image import SourceImage
from ..job.model import Job
from ..sizes.fitting import Size, fit, result_size, style_size, whole_strides
from ..sizes.pyramid import Scale, plan_scales


@dataclass(frozen=True)
class ScaleSizes:
    """A scale, and the size (height, width) of each style image at it, in pixels."""

    scale: Scale
    styles: tuple[Size, ...]

    @property
    def style_pixels(self) -> tuple[int, ...]:
        """Number of pixels of each style image."""
        return tuple(height * width for height, width in self.styles)


def final_size(job: Job, inputs: Inputs, deepest: LayerInfo, stride: int) -> Size:
    """Return the size of a job's result, (height, width) in pixels.

    The network's `deepest` layer decides how small an image may be; `stride` is the network's
    largest stride. Raises ImageError when an image is too small for the network at the job's size,
    and UsageError when a texture is.
    """
    size = _result_size(job, inputs.content.size if inputs.content else None, stride)
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
    return tuple(
        ScaleSizes(
            scale,
            tuple(
                _size_at(style.image.size, style.relative_size, scale, deepest.smallest_side)
                for style in styles
            ),
        )
        for scale in _scales(job, size, deepest, stride)
    )


@dataclass(frozen=True)
class PlannedSizes(UsedSizes):
    """Sizes at which the images of a job are used, by `scale_sizes` and the transfer of colors."""

    job: Job
    deepest: LayerInfo
    stride: int

    def of_content(self, size: Size) -> Sequence[Size]:
        """Return the sizes of the content image."""
        if self.job.color == "luminance":  # computed from all pixels
            return ()
        result = _result_size(self.job, size, self.stride)
        sizes = [scale.size for scale in _scales(self.job, result, self.deepest, self.stride)]
        return [*sizes, fit(size, max(result))] if recolors(self.job.color) else sizes

    def of_style(self, content: Size | None, relative_size: float, size: Size) -> Sequence[Size]:
        """Return the sizes of a style image."""
        result = _result_size(self.job, content, self.stride)
        recolored = [recolored_size(size, relative_size, max(result))]
        if recolors(self.job.color):
            return recolored
        sizes = [
            _size_at(size, relative_size, scale, self.deepest.smallest_side)
            for scale in _scales(self.job, result, self.deepest, self.stride)
        ]
        return sizes + recolored if self.job.color == "chroma" else sizes


def _result_size(job: Job, content: Size | None, stride: int) -> Size:
    size = result_size(job.size, content, job.upscale)
    return whole_strides(size, stride) if job.seamless else size


def _scales(job: Job, size: Size, deepest: LayerInfo, stride: int) -> Sequence[Scale]:
    smallest = deepest.smallest_side
    step = stride if job.seamless else 1
    return plan_scales(size, job.scales, job.iterations, smallest, step, job.final_pass)


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


def _size_at(size: Size, relative_size: float, scale: Scale, smallest: int) -> Size:
    """Return the size at a scale of a style image of `size`.

    At coarse scales each side keeps the `smallest` number of pixels that the network needs.
    """
    height, width = style_size(size, relative_size, max(scale.size))
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
