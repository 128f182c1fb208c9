"""Color transfer: whose colors the result has, the style's or the content's.

Gatys, Bethge, Hertzmann and Shechtman 2016, "Preserving Color in Neural Artistic Style Transfer":
the styles are recolored to the content before the run, or the run is one of luminance alone.
Everything is done on sRGB-encoded values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from ..interfaces.source_image import SourceImage
from ..job.model import ColorFrom
from ..sizes.fitting import fit
from .inputs import Inputs, StyleInput
from .luma import LUMA
from .masks import resized

#: The variance of rounding to 8 bits: below it a color does not vary.
_FLAT = 1 / 255**2 / 12

#: (pixels of a style (M, 3), of the content (M', 3), their weights (M',)) -> the style's, changed;
#: float64 in [0, 1].
_Recoloring = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def recolored(inputs: Inputs, color: ColorFrom, size: tuple[int, int]) -> Inputs:
    """The images as the run should see them, for a result of `size` (height, width).

    Each style is changed after the content's pixels at the places that take it, by the styles'
    masks and as far as they are not transparent. "style" changes nothing.
    """
    if color == "style":
        return inputs
    content = inputs.content
    assert content is not None  # the job sees to it
    if color == "luminance":
        content = _with_pixels(content, _gray(_pixels(content)))
    source = _pixels(_smaller(content, max(size)))
    styles = tuple(
        replace(style, image=_recolored(style, content, source, _RECOLORINGS[color], size))
        for style in inputs.styles
    )
    return replace(inputs, content=content, styles=styles)


def _recolored(
    style: StyleInput,
    content: SourceImage,
    source: np.ndarray,
    change: _Recoloring,
    size: tuple[int, int],
) -> SourceImage:
    # As large as it will be seen, at most: what is not seen need not be changed.
    image = _smaller(style.image, round(max(size) * max(1.0, style.scale)))
    pixels, of_content = _pixels(image).reshape(-1, 3), source.reshape(-1, 3)
    weights = _weights(style, content, source.shape[:2])
    if not weights.any():  # it is wanted where the content is transparent alone
        return image
    made = change(pixels, of_content, weights.reshape(-1))
    return _with_pixels(image, made.reshape(*image.size, 3))


def _weights(style: StyleInput, content: SourceImage, size: tuple[int, int]) -> np.ndarray:
    """(H, W): how much each of the content's pixels counts for the style."""
    weights = np.zeros(size)
    for region in style.regions:
        weights += 1.0 if region.region is None else resized(region.region, *size).double().numpy()
    alpha = content.alpha_array(*size)
    seen: np.ndarray = weights.clip(0, 1) * (1.0 if alpha is None else alpha)
    return seen


def _by_luminance(style: np.ndarray, content: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Gray, with the content's mean and deviation."""
    light, other = _gray(style), content[:, :1]
    mean = np.average(other, axis=0, weights=weights)
    deviation = np.average((other - mean) ** 2, axis=0, weights=weights) ** 0.5
    own = light.std() if light.var() > _FLAT else 1.0
    made: np.ndarray = deviation / own * (light - light.mean()) + mean
    return made


def _by_histogram(style: np.ndarray, content: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each channel's levels moved to where the content's histogram has them.

    A level of the style that holds a range of ranks becomes the mean of the content's values at
    those ranks: one level stays one, and the channel's mean is exact.
    """
    made = np.empty_like(style)
    for channel in range(3):
        levels = np.rint(style[:, channel] * 255).astype(int)
        ranks = _cumulative(np.bincount(levels, minlength=256).astype(float))
        others = np.rint(content[:, channel] * 255).astype(int)
        histogram = np.bincount(others, weights, 256)
        values = np.cumsum(histogram * np.arange(256) / 255) / histogram.sum()
        # The integral of the content's values by rank, at the ends of each level's range.
        integral = np.interp(ranks, _cumulative(histogram), np.append(0, values))
        span = np.diff(ranks)
        moved = np.divide(np.diff(integral), span, out=np.zeros(256), where=span > 0)
        made[:, channel] = moved[levels]
    return made


def _cumulative(histogram: np.ndarray) -> np.ndarray:
    """(257,): from 0 to 1."""
    ranks: np.ndarray = np.append(0, np.cumsum(histogram)) / histogram.sum()
    return ranks


def _by_covariance(style: np.ndarray, content: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """x -> C^1/2 S^-1/2 (x - mu_S) + mu_C (the paper's choice of roots), with S and C the
    covariances of style and content."""
    mean = np.average(content, axis=0, weights=weights)
    covariance = np.cov(content.T, ddof=0, aweights=weights)
    spread = _power(covariance, 0.5) @ _power(np.cov(style.T, ddof=0), -0.5)
    made: np.ndarray = (style - style.mean(0)) @ spread.T + mean
    return made


def _power(covariance: np.ndarray, exponent: float) -> np.ndarray:
    """Of a symmetric matrix; directions without variance stay without."""
    values, vectors = np.linalg.eigh(covariance)
    powers = np.where(values > _FLAT, values.clip(_FLAT) ** exponent, 0)
    root: np.ndarray = (vectors * powers) @ vectors.T
    return root


_RECOLORINGS: dict[ColorFrom, _Recoloring] = {
    "luminance": _by_luminance,
    "histogram": _by_histogram,
    "covariance": _by_covariance,
}


def _gray(pixels: np.ndarray) -> np.ndarray:
    gray: np.ndarray = np.repeat(pixels @ np.array(LUMA)[:, None], 3, axis=-1)
    return gray


def _smaller(image: SourceImage, long_side: int) -> SourceImage:
    height, width = fit(image.size, long_side)
    if (height, width) == image.size:
        return image
    rgb = image.rgb.resize((width, height), Image.Resampling.LANCZOS)
    return replace(image, rgb=rgb)


def _pixels(image: SourceImage) -> np.ndarray:
    """(H, W, 3), float64 in [0, 1]."""
    return np.asarray(image.rgb, dtype=np.float64) / 255


def _with_pixels(image: SourceImage, pixels: np.ndarray) -> SourceImage:
    levels = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
    return replace(image, rgb=Image.fromarray(levels))
