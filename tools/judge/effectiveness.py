"""Statistic E, the effectiveness of a transfer (Yeh, Tang, Bhattad, Zou and Forsyth, WACV 2020).

The features of a layer are taken for a Gaussian, projected to its principal directions. The base
statistic of a layer is E_l = -log KL(result || style), with their numbers of directions. Three
things differ: the directions are those of the style image (in the paper those of a set of
photographs, which would have to be shipped); there are fewer of them where the layer has few
positions; and the score is the plain mean of the five base statistics, since the weights of the
paper's calibration were fitted to its own pictures.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .pictures import LAYERS, Picture

#: Most principal directions for each layer, as in the paper's code.
_DIRECTIONS = dict(zip(LAYERS, (32, 48, 128, 256, 256), strict=True))
#: Least positions for each direction, so that the covariance is known.
_POSITIONS_PER_DIRECTION = 8
#: Divergence below which two Gaussians count as equal: E is 9.2 at most.
_LEAST_DIVERGENCE = 1e-4
#: Part of the mean variance that is added to each variance, so that a flat picture has an E.
_RIDGE = 1e-3


def effectiveness(picture: Picture, style: Picture) -> float:
    """Return the mean over the layers of -log KL(picture || style)."""
    return sum(_of_layer(picture, style, layer) for layer in LAYERS) / len(LAYERS)


def divergence(mean: Tensor, covariance: Tensor, mean_2: Tensor, covariance_2: Tensor) -> float:
    """Return KL(N(mean, covariance) || N(mean_2, covariance_2)), in float64.

    Means are (K), covariances (K, K), positive definite.
    """
    factor = torch.linalg.cholesky(covariance_2)
    step = torch.linalg.solve_triangular(factor, (mean_2 - mean)[:, None], upper=False)
    ratio = torch.cholesky_solve(covariance, factor)
    log_determinants = 2 * factor.diagonal().log().sum() - torch.logdet(covariance)
    value: Tensor = ratio.trace() + step.square().sum() - len(mean) + log_determinants
    return 0.5 * float(value)


def _of_layer(picture: Picture, style: Picture, layer: str) -> float:
    maps, style_maps = (image.features[layer].flatten(1).double() for image in (picture, style))
    fewest = min(maps.shape[1], style_maps.shape[1])
    count = max(1, min(_DIRECTIONS[layer], fewest // _POSITIONS_PER_DIRECTION))
    style_mean, style_covariance = _gaussian(style_maps)
    mean, covariance = _gaussian(maps)
    variances, vectors = torch.linalg.eigh(style_covariance)
    directions = vectors[:, -count:]
    ridge = _RIDGE * variances[-count:].mean().clamp_min(1e-12) * torch.eye(count).double()
    kl = divergence(
        directions.T @ mean,
        directions.T @ covariance @ directions + ridge,
        directions.T @ style_mean,
        directions.T @ style_covariance @ directions + ridge,
    )
    return -math.log(max(kl, _LEAST_DIVERGENCE))


def _gaussian(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (C) and the covariance (C, C) of activations (C, M)."""
    mean = maps.mean(1)
    centred = maps - mean[:, None]
    return mean, centred @ centred.T / maps.shape[1]
