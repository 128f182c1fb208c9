"""A job's images as they are seen at a scale, and whether the network can see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .backbone import LayerInfo
from .canvas import canvas, canvas_size, check_texture_size
from .errors import ImageError
from .images import Picture, fit
from .inputs import Inputs, Place, StyleInput
from .plan import Plan
from .schedule import Scale, plan_scales, whole_strides
from .tiles import Tiler


@dataclass(frozen=True)
class SeenStyle:
    """A style image (1, 3, H, W) at its own size, on the backend's device; the rest is that of its
    `StyleInput`."""

    image: Tensor
    source: int
    share: float
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Sight:
    """The images as they are at one scale: the content (1, 3, H, W) at the scale's size, on the
    backend's device, the styles, and the content's mask; and how they are cut into tiles. A
    texture's content is a blank canvas, of which nothing is read but the size."""

    content: Tensor
    styles: tuple[SeenStyle, ...]
    content_mask: Tensor | None = None
    tiler: Tiler = field(default_factory=Tiler.uncut)


def scales_for(plan: Plan, inputs: Inputs) -> list[Scale]:
    """The schedule. Raises ImageError when an image is too small for a layer at the job's size, and
    UsageError for a texture that is to be so."""
    job = plan.job
    deepest = plan.backbone.deepest(plan.layers)
    stride = plan.stride if job.seamless else 1
    size = whole_strides(canvas_size(job, inputs.content), stride)
    asked = job.size if isinstance(job.size, int) else max(job.size)
    if inputs.content is None:
        check_texture_size(size, deepest)
    else:
        _check_side(deepest, inputs.content, size, asked)
    for style in inputs.styles:
        # The finest scale says how small a style may be; at coarser ones it keeps what is needed.
        _check_side(deepest, style.picture, seen_size(style, max(size)), asked, style.scale)
    return plan_scales(size, job.scales, job.iterations, deepest.smallest_side, stride)


def at_scale(
    plan: Plan,
    inputs: Inputs,
    scale: Scale,
    device: torch.device,
    tiler: Tiler = Tiler.uncut(),  # noqa: B008 - frozen
) -> Sight:
    """The images at `scale`."""
    styles = []
    for style in inputs.styles:
        image = style.picture.tensor(*_size_at(plan, style, scale)).to(device)
        styles.append(SeenStyle(image, style.source, style.share, style.places))
    content = canvas(inputs.content, scale.height, scale.width).to(device)
    return Sight(content, tuple(styles), inputs.content_mask, tiler)


def sizes_seen(plan: Plan, inputs: Inputs, scales: Sequence[Scale]) -> list[tuple[int, int]]:
    """(height, width) of every image that the network sees, the finished picture's last."""
    sizes = []
    for scale in scales:
        sizes += [*(_size_at(plan, style, scale) for style in inputs.styles), scale.size]
    return sizes


def _size_at(plan: Plan, style: StyleInput, scale: Scale) -> tuple[int, int]:
    """At coarse scales a style keeps the pixels that the network needs."""
    smallest = plan.backbone.deepest(plan.layers).smallest_side
    height, width = seen_size(style, max(scale.size))
    return max(height, smallest), max(width, smallest)


def seen_size(style: StyleInput, long_side: int) -> tuple[int, int]:
    """(height, width) at which a style is seen beside a picture with that long side: its own long
    side is as long, or what it has if that is less; times the style's scale."""
    size = fit(style.picture.size, long_side)
    return fit(size, max(1, round(max(size) * style.scale)), upscale=True)


def enlargements(inputs: Inputs, long_side: int) -> list[str]:
    """Which styles are seen larger than they are, in words for the user."""
    found = []
    for style in inputs.styles:
        own, seen = max(style.picture.size), max(seen_size(style, long_side))
        if seen > own:
            found.append(
                f"{style.picture.path} has {own} px and is enlarged to {seen} px for "
                f"--style-scale {style.scale:g}; a larger image would be sharper"
            )
    return found


def _check_side(
    deepest: LayerInfo, picture: Picture, size: tuple[int, int], asked: int, scale: float = 1.0
) -> None:
    smallest = deepest.smallest_side
    if min(size) >= smallest:
        return
    height, width = picture.size
    message = (
        f"{picture.path}: {width}x{height} px is too small for the layer {deepest.name}, "
        f"which needs {smallest} px on the short side"
    )
    if scale != 1:
        needed_scale = scale * smallest / min(size)
        message += (
            f"; --style-scale {scale:g} makes it {size[1]}x{size[0]}, "
            f"about --style-scale {needed_scale:.2g} would do"
        )
    elif min(picture.size) >= smallest:
        needed = -(-smallest * max(picture.size) // min(picture.size))
        message += f"; --size {asked} makes it {size[1]}x{size[0]}, --size {needed} would do"
    raise ImageError(message)
