"""Palettes of the style images: the moments of their colors, by region of the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ...sizes.fitting import Size
from ..color_transfer import recolored_size
from ..inputs import Inputs, StyleInput, StyleRegion
from ..masks import resized
from .moments import ColorMoments
from .oklab import to_oklab


@dataclass(frozen=True)
class Palette:
    """Colors, in OKLab, of the styles of a region of the result.

    - `region`: mask over the result; None for the whole result.
    - `share`: the sum of the styles' shares, which are proportional to weight times area.
    """

    region: Tensor | None
    share: float
    colors: ColorMoments


def palettes_of(inputs: Inputs, size: Size) -> tuple[Palette, ...]:
    """Return the palettes of a job's styles, for a result of `size` (height, width).

    Styles of one region are one palette, the mixture of their colors by their shares. What is
    transparent in a style image, or not in its region of a map, does not count.
    """
    groups: dict[int | None, list[tuple[StyleInput, StyleRegion]]] = {}
    for style in inputs.styles:
        for region in style.regions:
            key = None if region.region is None else id(region.region)
            groups.setdefault(key, []).append((style, region))
    return tuple(_palette(pairs, max(size)) for pairs in groups.values())


def _palette(pairs: Sequence[tuple[StyleInput, StyleRegion]], long_side: int) -> Palette:
    shares = [region.share for _, region in pairs]
    moments = [_moments(style, region, long_side) for style, region in pairs]
    return Palette(pairs[0][1].region, sum(shares), ColorMoments.pooled(moments, shares))


def _moments(style: StyleInput, region: StyleRegion, long_side: int) -> ColorMoments:
    height, width = recolored_size(style.image.size, style.relative_size, long_side)
    colors = to_oklab(style.image.tensor(height, width))[0].flatten(1)
    weights = None
    if region.own_region is not None:
        weights = resized(region.own_region, height, width).flatten()
    return ColorMoments.of(colors, weights)
