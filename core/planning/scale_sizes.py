"""The sizes of a run, computed once: its scales, and the style images' sizes at each of them."""

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
        """Of every image that the network sees at the scale, the result's last."""
        return (*self.styles, self.scale.size)

    @property
    def style_pixels(self) -> int:
        """Of all style images together."""
        return sum(height * width for height, width in self.styles)


def final_size(job: Job, inputs: Inputs, deepest: LayerInfo, stride: int) -> Size:
    """The size of a job's result, for a network whose `deepest` layer decides how small an image
    may be, and whose largest stride is `stride`.

    Raises ImageError when an image is too small for the network at the job's size, and UsageError
    for a texture that is.
    """
    size = result_size(job.size, inputs.content.size if inputs.content else None, job.upscale)
    if job.seamless:
        size = whole_strides(size, stride)
    asked = job.size if isinstance(job.size, int) else max(job.size)
    if inputs.content is None:
        _check_texture_size(size, deepest)
    else:
        _check_side(deepest, inputs.content, size, asked)
    for style in inputs.styles:
        # The finest scale says how small a style may be; at coarser ones it keeps what is needed.
        seen = style_size(style.image.size, style.scale, max(size))
        _check_side(deepest, style.image, seen, asked, style.scale)
    return size


def scale_sizes(
    job: Job, styles: Sequence[StyleInput], size: Size, deepest: LayerInfo, stride: int
) -> tuple[ScaleSizes, ...]:
    """The scales of a result of `size`, from coarse to fine, and the `styles`' sizes at them."""
    smallest = deepest.smallest_side
    scales = plan_scales(size, job.scales, job.iterations, smallest, stride if job.seamless else 1)
    return tuple(
        ScaleSizes(scale, tuple(_at_scale(style, scale, smallest) for style in styles))
        for scale in scales
    )


def size_notices(job: Job, inputs: Inputs, size: Size) -> Iterator[str]:
    """What the user should know about a result of `size` (height, width)."""
    content = inputs.content
    wanted = result_size(job.size, content.size if content else None, job.upscale)
    if isinstance(job.size, int) and max(wanted) < job.size:
        yield f"{job.content} has {max(wanted)} px, so the result has (see `upscale`)"
    if size != wanted:
        yield (
            f"{size[1]}x{size[0]} px instead of {wanted[1]}x{wanted[0]}: a seamless result's "
            "sides are multiples of the deepest layer's stride"
        )
    for style in inputs.styles:
        own = max(style.image.size)
        seen = max(style_size(style.image.size, style.scale, max(size)))
        if seen > own:
            yield (
                f"{style.image.path} has {own} px and is enlarged to {seen} px for "
                f"`style_scale={style.scale:g}`; a larger image would be sharper"
            )


def _at_scale(style: StyleInput, scale: Scale, smallest: int) -> Size:
    """At coarse scales a style image keeps the pixels that the network needs."""
    height, width = style_size(style.image.size, style.scale, max(scale.size))
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
    deepest: LayerInfo, image: SourceImage, size: Size, asked: int, style_scale: float = 1.0
) -> None:
    smallest = deepest.smallest_side
    if min(size) >= smallest:
        return
    height, width = image.size
    message = (
        f"{image.path}: {width}x{height} px is too small for the layer {deepest.name}, "
        f"which needs {smallest} px on the short side"
    )
    if style_scale != 1:
        needed_scale = style_scale * smallest / min(size)
        message += (
            f"; `style_scale={style_scale:g}` makes it {size[1]}x{size[0]}, "
            f"about `style_scale={needed_scale:.2g}` would do"
        )
    elif min(image.size) >= smallest:
        needed = -(-smallest * max(image.size) // min(image.size))
        message += f"; `size={asked}` makes it {size[1]}x{size[0]}, `size={needed}` would do"
    raise ImageError(message)
