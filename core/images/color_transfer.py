"""Recoloring of the style images, so that the result has the content image's colors.

Gatys, Bethge, Hertzmann and Shechtman 2016, "Preserving Color in Neural Artistic Style Transfer":
the style images are recolored to the content before the run, or only the luminance is optimised.
All computations are on sRGB-encoded values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from ..interfaces.source_image import SourceImage
from ..job.model import ColorFrom
from ..sizes.fitting import Size, fit
from .inputs import Inputs, StyleInput
from .luma import LUMA
from .masks import resized

#: Variance of rounding to 8 bits; a color with less is constant.
_FLAT = 1 / 255**2 / 12

#: Rows that are converted at a time.
_ROWS = 256

#: (style pixels (M, 3), style weights (M,) or None for equal ones, content pixels (M', 3), content
#: weights (M',)) -> recolored style pixels (M, 3); float64, the pixels in [0, 1].
_Recoloring = Callable[[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray], np.ndarray]


def recolored(inputs: Inputs, color: ColorFrom, size: tuple[int, int]) -> Inputs:
    """Return the inputs recolored by `color`, for a result of `size` (height, width).

    Each style image is recolored to the content's pixels in the regions of that style, weighted by
    the styles' masks and by the content's opacity. Transparent pixels of a style image do not
    count. Other values of `color` change nothing.
    """
    if not recolors(color):
        return inputs
    content = inputs.content
    assert content is not None  # checked by the job's validation
    if color == "luminance":
        content = _in_gray(content)
    source = _pixels(_smaller(content, max(size)))
    styles = tuple(
        replace(style, image=_recolored(style, content, source, _RECOLORINGS[color], size))
        for style in inputs.styles
    )
    return replace(inputs, content=content, styles=styles)


def recolors(color: ColorFrom) -> bool:
    """Return whether the style images are recolored before the run."""
    return color in _RECOLORINGS


def recolored_size(size: Size, relative_size: float, long_side: int) -> Size:
    """Return the size at which a style image of `size` is recolored."""
    return fit(size, _side(relative_size, long_side))


def _side(relative_size: float, long_side: int) -> int:
    # The run uses the image at this size at most; more pixels need not be recolored.
    return round(long_side * max(1.0, relative_size))


def _recolored(
    style: StyleInput,
    content: SourceImage,
    source: np.ndarray,
    recolor: _Recoloring,
    size: tuple[int, int],
) -> SourceImage:
    image = _smaller(style.image, _side(style.relative_size, max(size)))
    style_pixels, content_pixels = _pixels(image).reshape(-1, 3), source.reshape(-1, 3)
    weights = _weights(style, content, source.shape[:2])
    if not weights.any():  # the content is transparent in all of the style's regions
        return image
    alpha = image.alpha_array(*image.size)
    style_weights = None if alpha is None else alpha.astype(np.float64).reshape(-1)
    pixels = recolor(style_pixels, style_weights, content_pixels, weights.reshape(-1))
    return _with_pixels(image, pixels.reshape(*image.size, 3))


def _weights(style: StyleInput, content: SourceImage, size: tuple[int, int]) -> np.ndarray:
    """Return the weight (H, W), in [0, 1], of each pixel of the content for the style."""
    weights = np.zeros(size)
    for region in style.regions:
        weights += 1.0 if region.region is None else resized(region.region, *size).double().numpy()
    alpha = content.alpha_array(*size)
    visible: np.ndarray = weights.clip(0, 1) * (1.0 if alpha is None else alpha)
    return visible


def _by_luminance(
    style: np.ndarray, style_weights: np.ndarray | None, content: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the style's luminance, with the mean and standard deviation of the content's."""
    style_luma, content_luma = _gray(style), content[:, :1]
    mean = np.average(content_luma, axis=0, weights=weights)
    deviation = np.average((content_luma - mean) ** 2, axis=0, weights=weights) ** 0.5
    of_channels = None if style_weights is None else style_weights.repeat(3).reshape(-1, 3)
    style_mean = np.average(style_luma, weights=of_channels)
    variance = np.average((style_luma - style_mean) ** 2, weights=of_channels)
    style_deviation = np.sqrt(variance) if variance > _FLAT else 1.0
    matched: np.ndarray = deviation / style_deviation * (style_luma - style_mean) + mean
    return matched


def _by_histogram(
    style: np.ndarray, style_weights: np.ndarray | None, content: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the style's pixels with each channel's histogram matched to the content's.

    A level of the style that covers a range of ranks becomes the mean of the content's values at
    those ranks: one level stays one, and the channel's mean is exact.
    """
    matched = np.empty_like(style)
    for channel in range(3):
        levels = np.rint(style[:, channel] * 255).astype(int)
        ranks = _cumulative(np.bincount(levels, style_weights, 256).astype(float))
        content_levels = np.rint(content[:, channel] * 255).astype(int)
        histogram = np.bincount(content_levels, weights, 256)
        values = np.cumsum(histogram * np.arange(256) / 255) / histogram.sum()
        # The integral of the content's values by rank, at the ends of each level's range.
        integral = np.interp(ranks, _cumulative(histogram), np.append(0, values))
        span = np.diff(ranks)
        new_values = np.divide(np.diff(integral), span, out=np.zeros(256), where=span > 0)
        matched[:, channel] = new_values[levels]
    return matched


def _cumulative(histogram: np.ndarray) -> np.ndarray:
    """Return the cumulative distribution (257,), from 0 to 1."""
    ranks: np.ndarray = np.append(0, np.cumsum(histogram)) / histogram.sum()
    return ranks


def _by_covariance(
    style: np.ndarray, style_weights: np.ndarray | None, content: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the style's pixels with the content's mean and covariance.

    x -> C^1/2 S^-1/2 (x - mu_S) + mu_C (the paper's choice of roots), with S and C the covariances
    of style and content.
    """
    mean = np.average(content, axis=0, weights=weights)
    covariance = np.cov(content.T, ddof=0, aweights=weights)
    style_covariance = np.cov(style.T, ddof=0, aweights=style_weights)
    transform = _power(covariance, 0.5) @ _power(style_covariance, -0.5)
    style_mean = np.average(style, axis=0, weights=style_weights)
    matched: np.ndarray = (style - style_mean) @ transform.T + mean
    return matched


def _power(covariance: np.ndarray, exponent: float) -> np.ndarray:
    """Return a power of a symmetric matrix; directions without variance stay at zero."""
    values, vectors = np.linalg.eigh(covariance)
    powers = np.where(values > _FLAT, values.clip(_FLAT) ** exponent, 0)
    power: np.ndarray = (vectors * powers) @ vectors.T
    return power


_RECOLORINGS: dict[ColorFrom, _Recoloring] = {
    "luminance": _by_luminance,
    "histogram": _by_histogram,
    "covariance": _by_covariance,
}


def _gray(pixels: np.ndarray) -> np.ndarray:
    gray: np.ndarray = np.repeat(pixels @ np.array(LUMA)[:, None], 3, axis=-1)
    return gray


def _in_gray(image: SourceImage) -> SourceImage:
    """Return the luminance of an image, as RGB, computed strip by strip."""
    gray = Image.new("RGB", image.rgb.size)
    for top in range(0, gray.height, _ROWS):
        rows = image.rgb.crop((0, top, gray.width, min(top + _ROWS, gray.height)))
        gray.paste(_image_of(_gray(np.asarray(rows, dtype=np.float64) / 255)), (0, top))
    return replace(image, rgb=gray)


def _smaller(image: SourceImage, long_side: int) -> SourceImage:
    height, width = fit(image.size, long_side)
    if (height, width) == image.size:
        return image
    return replace(image, rgb=image.rgb_at(height, width), file_size=None, resampled={})


def _pixels(image: SourceImage) -> np.ndarray:
    """Return the pixels (H, W, 3), float64 in [0, 1]."""
    return np.asarray(image.rgb, dtype=np.float64) / 255


def _with_pixels(image: SourceImage, pixels: np.ndarray) -> SourceImage:
    return replace(image, rgb=_image_of(pixels))


def _image_of(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(pixels.clip(0, 1) * 255).astype(np.uint8))
