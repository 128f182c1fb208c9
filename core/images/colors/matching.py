"""Results with the style images' colors in the places of the content image's.

Kolkin, Kucera, Paris, Sykora, Shechtman and Shakhnarovich 2022, "Neural Neighbor Style Transfer":
the light is the result's, the chroma that of the content image, with the moments of the style's and
smoothed along the result's edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..masks import resized
from .moments import ColorMoments
from .oklab import from_oklab, to_oklab
from .palettes import Palette

#: Largest element of the covariance of a gray image's chroma.
_GRAY = 6e-5
#: Passes of the bilateral filter, and its fall with the difference of light.
_PASSES, _FALL = 5, 10.0
#: Rows that are filtered at a time.
_STRIP = 128


@dataclass(frozen=True)
class ColorMatching:
    """Colors for a result at one scale; see `matching_for`.

    - `parts`: the palettes, at these pixels.
    - `rest`: (1, 1, H, W), part of each pixel that is in the region of no palette.
    - `wraps`: whether the result continues at its opposite edges.
    """

    parts: Sequence[MatchedPart]
    rest: Tensor
    wraps: bool

    def apply(self, image: Tensor) -> Tensor:
        """Return the image (1, 3, H, W), in [0, 1], with the matched colors."""
        lab = to_oklab(image.clamp(0, 1))
        matched = lab * self.rest
        for part in self.parts:
            matched = matched + part.weights * part.apply(lab, self.wraps)
        return from_oklab(matched).clamp(0, 1)


@dataclass(frozen=True)
class MatchedPart:
    """A palette at the pixels of the result.

    - `weights`: (1, 1, H, W), the palette's part of each pixel.
    - `visible`: (H, W), weights of the pixels in the moments.
    - `chroma`: a and b (1, 2, H, W) of the content image with the palette's moments; None if the
      palette, or the content image, is gray.
    """

    colors: ColorMoments
    weights: Tensor
    visible: Tensor
    chroma: Tensor | None

    def apply(self, lab: Tensor, wraps: bool) -> Tensor:
        """Return the matched colors of a result, L, a, b (1, 3, H, W)."""
        inside = self.colors.clamped(lab)
        if self.chroma is None:
            moments = ColorMoments.of(inside[0].flatten(1), self.visible.flatten())
            return self.colors.clamped(self.colors.given_to(inside, moments))
        light = inside[:, :1]
        chroma = smoothed_along(self.chroma, light, wraps)
        return self.colors.clamped(torch.cat([light, chroma], 1))


def matching_for(
    content: Tensor, alpha: Tensor | None, palettes: Sequence[Palette], wraps: bool
) -> ColorMatching:
    """Return the colors for results like a content image (1, 3, H, W) with an `alpha` (H, W).

    In each palette's region, the content's chroma gets its moments; if one of both is gray, the
    result's own colors get them, light included. Where regions meet, the palettes are mixed by
    their styles' weights; outside of all regions the result keeps its colors. What is transparent
    in the content image does not count.
    """
    size = content.shape[2], content.shape[3]
    masks = [_mask(palette, size) for palette in palettes]
    # A share is weight times area.
    densities = [
        palette.share / mask.mean().clamp_min(1e-9) * mask
        for palette, mask in zip(palettes, masks, strict=True)
    ]
    covered = torch.stack(masks).sum(0).clamp_max(1)
    total = torch.stack(densities).sum(0).clamp_min(1e-9)
    lab = to_oklab(content)
    parts = []
    for palette, mask, density in zip(palettes, masks, densities, strict=True):
        visible = mask if alpha is None else mask * alpha
        if visible.any():
            weights = (covered * density / total)[None, None].to(content)
            chroma = _chroma(lab, visible, palette.colors)
            parts.append(MatchedPart(palette.colors, weights, visible, chroma))
    rest = 1 - sum((part.weights for part in parts), start=torch.zeros_like(content[:, :1]))
    return ColorMatching(tuple(parts), rest, wraps)


def _mask(palette: Palette, size: tuple[int, int]) -> Tensor:
    """Return the palette's region at a size, (H, W), on the CPU."""
    return torch.ones(size) if palette.region is None else resized(palette.region.cpu(), *size)


def _chroma(lab: Tensor, visible: Tensor, colors: ColorMoments) -> Tensor | None:
    moments = ColorMoments.of(lab[0, 1:].flatten(1), visible.flatten())
    chroma = colors.chroma
    if min(moments.covariance.abs().max(), chroma.covariance.abs().max()) < _GRAY:
        return None
    return chroma.given_to(lab[:, 1:], moments)


def smoothed_along(chroma: Tensor, light: Tensor, wraps: bool) -> Tensor:
    """Return a and b (1, 2, H, W) after a bilateral filter whose guide is the light (1, 1, H, W).

    The filter is passes of 3 x 3 means, weighted by exp(-10 |difference of light|). It runs strip
    by strip, so that the weights take little memory.
    """
    height, frame = light.shape[2], _PASSES if wraps else 0
    framed = functional.pad(torch.cat([chroma, light], 1), (0, 0, frame, frame), mode="circular")
    strips = []
    for top in range(frame, frame + height, _STRIP):
        first, last = max(top - _PASSES, 0), min(top + _STRIP, frame + height)
        strip = framed[:, :, first : last + _PASSES]
        smooth = _smoothed(strip[:, :-1], strip[:, -1:], wraps)
        strips.append(smooth[:, :, top - first : last - first])
    return torch.cat(strips, 2)


def _smoothed(chroma: Tensor, light: Tensor, wraps: bool) -> Tensor:
    """Filter a strip; errors at its upper and lower edges spread by a row in each pass."""
    weights = [(-_FALL * (near - light).abs()).exp() for near in _windows(light, wraps)]
    total = torch.stack(weights).sum(0)
    for _ in range(_PASSES):
        mean = torch.zeros_like(chroma)
        for weight, near in zip(weights, _windows(chroma, wraps), strict=True):
            mean.addcmul_(weight, near)
        chroma = mean / total
    return chroma


def _windows(maps: Tensor, wraps: bool) -> Iterator[Tensor]:
    """Yield the maps (N, C, H, W), shifted to each of the 3 x 3 neighbors."""
    height, width = maps.shape[2:]
    framed = functional.pad(maps, (0, 0, 1, 1), mode="replicate")
    framed = functional.pad(framed, (1, 1, 0, 0), mode="circular" if wraps else "replicate")
    for row in range(3):
        for column in range(3):
            yield framed[:, :, row : row + height, column : column + width]
