"""A job's images at one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

import torch
from torch import Tensor

from ..fingerprint import fingerprint
from ..images.inputs import Inputs, StyleRegion
from ..images.resampling import resized
from ..interfaces.source_image import SourceImage
from ..interfaces.video.former import FormerResult, FormerResults
from ..planning.scale_sizes import ScaleSizes
from ..sizes.fitting import Size
from ..sizes.tiles import Tilers


@dataclass(frozen=True)
class StyleAtScale:
    """A style image at one scale.

    Its pixels are resampled to `size` (height, width) when they are used, since the style images of
    a folder would not fit the memory together. `source`, `share` and `regions` are those of its
    `StyleInput`.
    """

    original: SourceImage
    size: Size
    device: torch.device
    source: int
    share: float
    regions: tuple[StyleRegion, ...]
    dtype: torch.dtype = torch.float32

    def image(self) -> Tensor:
        """Return the image, (1, 3, H, W), on the backend's device."""
        return self.original.tensor(*self.size).to(self.device, self.dtype)

    @cached_property
    def fingerprint(self) -> str:
        """Content hash of the image at this scale, and of the other fields."""
        return fingerprint([self.image(), self.source, self.share, self.regions])


class StyleImages(Sequence[tuple[Tensor, float]]):
    """Style images with their shares, each of which is resampled when it is read."""

    def __init__(self, styles: Sequence[StyleAtScale]) -> None:
        self._styles = styles

    def __len__(self) -> int:
        return len(self._styles)

    @overload
    def __getitem__(self, index: int) -> tuple[Tensor, float]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[Tensor, float]]: ...
    def __getitem__(
        self, index: int | slice
    ) -> tuple[Tensor, float] | Sequence[tuple[Tensor, float]]:
        if isinstance(index, slice):
            return StyleImages(self._styles[index])
        style = self._styles[index]
        return style.image(), style.share


@dataclass(frozen=True)
class ScaleInputs:
    """The images at one scale, with the tilers that cut them into tiles.

    `content` is (1, 3, H, W), at the scale's size, on the backend's device. A texture's content is
    gray; nothing but its size is read. `index` is the number of the scale, from 0 for the coarsest;
    `final_pass`: whether it is the job's final pass. `former` are the former results that a frame
    of a video is held to.
    """

    content: Tensor
    styles: tuple[StyleAtScale, ...]
    content_mask: Tensor | None = None
    tilers: Tilers = field(default_factory=Tilers)
    index: int = 0
    final_pass: bool = False
    former: tuple[FormerResult, ...] = ()


def inputs_at(
    sizes: ScaleSizes,
    inputs: Inputs,
    device: torch.device,
    tilers: Tilers,
    index: int,
    former: FormerResults | None = None,
) -> ScaleInputs:
    """Return the images at the sizes of a scale, on `device`."""
    styles = tuple(
        StyleAtScale(style.image, size, device, style.source, style.share, style.regions)
        for style, size in zip(inputs.styles, sizes.styles, strict=True)
    )
    height, width = sizes.scale.size
    if inputs.content is None:
        content = torch.full((1, 3, height, width), 0.5)
    else:
        content = inputs.content.tensor(height, width)
    targets: tuple[FormerResult, ...] = ()
    if former is not None:
        targets = tuple(former_at(target, (height, width), device) for target in former.targets)
    return ScaleInputs(
        content.to(device),
        styles,
        inputs.content_mask,
        tilers,
        index,
        sizes.scale.final_pass,
        targets,
    )


def former_at(former: FormerResult, size: Size, device: torch.device) -> FormerResult:
    """Return a former result at a size (height, width), on `device`."""
    if former.image.shape[2:] == size:
        return FormerResult(former.image.to(device), former.reliability.to(device))
    return FormerResult(
        resized(former.image, size, wraps=False).to(device),
        resized(former.reliability, size, wraps=False).clamp(0, 1).to(device),
    )
