"""Whose colors the picture has: the style's, or the content's.

Gatys, Bethge, Hertzmann and Shechtman 2016, "Preserving Color in Neural Artistic Style Transfer":
the styles are recolored to the content before the run, or the run is one of luminance alone.
Everything is done on sRGB-encoded values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .images import Picture, fit
from .inputs import Inputs, StyleInput
from .job import ColorFrom
from .masks import resized
from .objective import Evaluation
from .schedule import Scale

#: Y of YIQ, which is also what Pillow's mode "L" holds.
_LUMA = (0.299, 0.587, 0.114)
#: The variance of rounding to 8 bits: below it a color does not vary.
_FLAT = 1 / 255**2 / 12

#: (pixels of a style (M, 3), of the content (M', 3), their weights (M',)) -> the style's, changed;
#: float64 in [0, 1].
_Recoloring = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def recolored(inputs: Inputs, color: ColorFrom, size: tuple[int, int]) -> Inputs:
    """The images as the run should see them, for a picture of `size` (height, width).

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
        replace(style, picture=_recolored(style, content, source, _RECOLORINGS[color], size))
        for style in inputs.styles
    )
    return replace(inputs, content=content, styles=styles)


class Coloring:
    """What lies between the picture that the optimizer moves and the one that is shown: nothing."""

    def started(self, image: Tensor) -> Tensor:
        """The image (1, 3, H, W) to start from."""
        return image

    def moved(self, evaluation: Evaluation) -> Evaluation:
        """What the optimizer is told."""
        return evaluation

    def shown(self, image: Tensor) -> Tensor:
        """The picture, of the optimizer's image (1, 3, H, W)."""
        return image


@dataclass(frozen=True)
class LuminanceAlone(Coloring):
    """The optimizer's image is gray; shown, it has the colors of the content (1, 3, H, W)."""

    content: Tensor

    def started(self, image: Tensor) -> Tensor:
        """Y in every channel."""
        return luma(image).expand_as(image).contiguous()

    def moved(self, evaluation: Evaluation) -> Evaluation:
        """With the part of the gradient along which a gray image stays gray."""
        gradient = evaluation.gradient
        even = gradient.mean(1, keepdim=True).expand_as(gradient).contiguous()
        return replace(evaluation, gradient=even)

    def shown(self, image: Tensor) -> Tensor:
        """The image's Y with the content's I and Q. Where that is no color, they are reduced
        together, which keeps the hue, and the luminance exactly."""
        light = luma(image).clamp(0, 1)
        chroma = self.content - luma(self.content)
        room = torch.where(chroma > 0, 1 - light, light)
        most = (room / chroma.abs().clamp_min(1e-6)).amin(1, keepdim=True).clamp_max(1)
        return light + most * chroma


def coloring(inputs: Inputs, color: ColorFrom, scale: Scale, device: torch.device) -> Coloring:
    """Of the images as they were read."""
    if color != "luminance":
        return Coloring()
    assert inputs.content is not None  # the job sees to it
    return LuminanceAlone(inputs.content.tensor(scale.height, scale.width).to(device))


def luma(image: Tensor) -> Tensor:
    """Y of YIQ, (N, 1, H, W), of an RGB image (N, 3, H, W)."""
    return (image * image.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _recolored(
    style: StyleInput,
    content: Picture,
    source: np.ndarray,
    change: _Recoloring,
    size: tuple[int, int],
) -> Picture:
    # As large as it will be seen, at most: what is not seen need not be changed.
    picture = _smaller(style.picture, round(max(size) * max(1.0, style.scale)))
    pixels, of_content = _pixels(picture).reshape(-1, 3), source.reshape(-1, 3)
    weights = _weights(style, content, source.shape[:2])
    if not weights.any():  # it is wanted where the content is transparent alone
        return picture
    made = change(pixels, of_content, weights.reshape(-1))
    return _with_pixels(picture, made.reshape(*picture.size, 3))


def _weights(style: StyleInput, content: Picture, size: tuple[int, int]) -> np.ndarray:
    """(H, W): how much each of the content's pixels counts for the style."""
    weights = np.zeros(size)
    for place in style.places:
        weights += 1.0 if place.region is None else resized(place.region, *size).double().numpy()
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
    gray: np.ndarray = np.repeat(pixels @ np.array(_LUMA)[:, None], 3, axis=-1)
    return gray


def _smaller(picture: Picture, long_side: int) -> Picture:
    height, width = fit(picture.size, long_side)
    if (height, width) == picture.size:
        return picture
    rgb = picture.rgb.resize((width, height), Image.Resampling.LANCZOS)
    return replace(picture, rgb=rgb)


def _pixels(picture: Picture) -> np.ndarray:
    """(H, W, 3), float64 in [0, 1]."""
    return np.asarray(picture.rgb, dtype=np.float64) / 255


def _with_pixels(picture: Picture, pixels: np.ndarray) -> Picture:
    levels = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
    return replace(picture, rgb=Image.fromarray(levels))
