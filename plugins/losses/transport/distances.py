"""Distances between two sets of vectors: relaxed earth mover's, moments, self-similarity.

The vectors of a set are the rows of a matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..statistics.sums import TINY

if TYPE_CHECKING:
    from torch import Tensor

#: Least mean cosine distance; less is rounding: flat images have equal activations everywhere.
FLAT = 1e-4


def directions(rows: Tensor) -> Tensor:
    """Return rows (..., C) as unit vectors; those of zeros stay zero, with a gradient of zero."""
    import torch

    square = rows.square().sum(-1, keepdim=True)
    nonzero = square > TINY
    return rows * torch.where(nonzero, square, 1.0).rsqrt() * nonzero


def cosine_transport(units: Tensor, target: Tensor) -> Tensor:
    """Return the relaxed earth mover's distance of unit vectors (P, C) and (Q, C), by the cosine.

    It is the larger of the mean distances of the vectors of one set from the nearest of the other.
    """
    import torch

    similarities = units.detach() @ target.mT
    nearest, served = similarities.argmax(1), similarities.argmax(0)
    # A sum of cosines is a product with the sum of the vectors that a vector is nearest to.
    sums = torch.zeros_like(units).index_put_((served,), target, accumulate=True)
    to_target = 1 - (units * target[nearest]).sum() / len(units)
    from_target = 1 - (units * sums).sum() / len(target)
    return torch.maximum(to_target, from_target)


def palette_distance(colors: Tensor, target: Tensor) -> Tensor:
    """Return the relaxed earth mover's distance of colors (P, 3) and (Q, 3).

    The distance of two colors is the root of their mean squared difference, plus their cosine
    distance.
    """
    import torch

    units, target_units = directions(colors), directions(target)
    distances = torch.cdist(colors.detach(), target) * 3**-0.5 - units.detach() @ target_units.mT
    nearest, served = distances.argmin(1), distances.argmin(0)

    def mean_distance(first: Tensor | slice, second: Tensor | slice) -> Tensor:
        squares = (colors[first] - target[second]).square().mean(1)
        cosines = (units[first] * target_units[second]).sum(1)
        return (1 + _root(squares) - cosines).mean()

    every = slice(None)
    return torch.maximum(mean_distance(every, nearest), mean_distance(served, every))


def _root(squares: Tensor) -> Tensor:
    """Return roots, with a gradient of zero at zero."""
    import torch

    positive = squares > TINY
    return torch.where(positive, squares, 1.0).sqrt() * positive


def moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (C) and the covariance (C, C) of rows (P, C)."""
    mean = rows.mean(0)
    centred = rows - mean
    return mean, centred.mT @ centred / len(rows)


def moments_distance(rows: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Return the mean absolute differences of means and of covariances, added."""
    of_rows = moments(rows)
    return (of_rows[0] - mean).abs().mean() + (of_rows[1] - covariance).abs().mean()


def self_similarity(units: Tensor) -> Tensor:
    """Return the cosine distances within unit vectors (P, C), each column divided by its sum."""
    distances = 1 - units @ units.mT
    return distances / distances.sum(0, keepdim=True).clamp_min(FLAT * len(units))


def similarity_distance(units: Tensor, similarity: Tensor) -> Tensor:
    """Return the distance of the self-similarity from another one (P, P): at most 2."""
    return (self_similarity(units) - similarity).abs().sum() / len(units)
