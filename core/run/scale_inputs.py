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
    """A style image at one scale.

    `image` is (1, 3, H, W), on the backend's device; the other fields are those of its
    `StyleInput`.
    """

    image: Tensor
    source: int
    share: float
    regions: tuple[StyleRegion, ...]


@dataclass(frozen=True)
class ScaleInputs:
    """The images at one scale, with the tiler that cuts them into tiles.

    `content` is (1, 3, H, W), at the scale's size, on the backend's device. A texture's content is
    gray; nothing but its size is read.
    """

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
    """Return the images at the sizes of a scale, as tensors on `device`."""
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
