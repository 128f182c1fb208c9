"""A job's images as tensors at one scale."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..images.inputs import Inputs, StyleRegion
from ..planning.scale_sizes import ScaleSizes
from ..sizes.tiles import Tiler


@dataclass(frozen=True)
class StyleAtScale:
    """A style image (1, 3, H, W) at its size at the scale, on the backend's device; the rest is
    that of its `StyleInput`."""

    image: Tensor
    source: int
    share: float
    regions: tuple[StyleRegion, ...]


@dataclass(frozen=True)
class ScaleInputs:
    """The images at one scale: the content (1, 3, H, W) at the scale's size, on the backend's
    device, the styles, and the content's mask; and how they are cut into tiles. A texture's content
    is gray, of which nothing is read but the size."""

    content: Tensor
    styles: tuple[StyleAtScale, ...]
    content_mask: Tensor | None = None
    tiler: Tiler = field(default_factory=Tiler.uncut)


def inputs_at(
    sizes: ScaleSizes,
    inputs: Inputs,
    device: torch.device,
    tiler: Tiler = Tiler.uncut(),  # noqa: B008 - frozen
) -> ScaleInputs:
    """The images at a scale."""
    styles = tuple(
        StyleAtScale(style.image.tensor(*size).to(device), style.source, style.share, style.regions)
        for style, size in zip(inputs.styles, sizes.styles, strict=True)
    )
    height, width = sizes.scale.size
    if inputs.content is None:
        content = torch.full((1, 3, height, width), 0.5)
    else:
        content = inputs.content.tensor(height, width)
    return ScaleInputs(content.to(device), styles, inputs.content_mask, tiler)
