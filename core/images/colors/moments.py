"""Moments and ranges of colors, and the linear change that gives colors other moments.

The change is ZCA (Kessy, Lewin and Strimmer 2018, "Optimal Whitening and Decorrelation"), with the
regularisation of Neural Neighbor Style Transfer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

#: Variance that is added to each channel of both sides, so that nearly constant channels of colors
#: are not stretched.
EPSILON = 1e-4


@dataclass(frozen=True)
class ColorMoments:
    """Mean (C,), covariance (C, C), least and largest values (C,) of colors, float64 on the CPU."""

    mean: Tensor
    covariance: Tensor
    least: Tensor
    most: Tensor

    @classmethod
    def of(cls, colors: Tensor, weights: Tensor | None = None) -> ColorMoments:
        """Return the moments of colors (C, P), with weights (P,) of which some must be above 0."""
        colors = colors.detach().cpu().double()
        if weights is None:
            weights = colors.new_ones(colors.shape[1])
        weights = weights.detach().cpu().double()
        seen = colors[:, weights > 0]
        parts = weights / weights.sum()
        mean = colors @ parts
        deviations = colors - mean[:, None]
        return cls(mean, (deviations * parts) @ deviations.mT, seen.amin(1), seen.amax(1))

    @classmethod
    def pooled(cls, moments: Sequence[ColorMoments], weights: Sequence[float]) -> ColorMoments:
        """Return the moments of a mixture of colors, by those of its components."""
        parts = torch.tensor(weights, dtype=torch.float64)
        parts = parts / parts.sum()
        means = torch.stack([component.mean for component in moments])
        mean = parts @ means
        between = ((means - mean).mT * parts) @ (means - mean)
        covariances = torch.stack([component.covariance for component in moments])
        return cls(
            mean,
            (covariances * parts[:, None, None]).sum(0) + between,
            torch.stack([component.least for component in moments]).amin(0),
            torch.stack([component.most for component in moments]).amax(0),
        )

    @property
    def chroma(self) -> ColorMoments:
        """Moments of a and b alone, for colors of L, a, b."""
        a_and_b = self.mean[1:], self.covariance[1:, 1:], self.least[1:], self.most[1:]
        return ColorMoments(*a_and_b)

    def clamped(self, colors: Tensor) -> Tensor:
        """Return colors (N, C, H, W) clamped to the range of these, channel by channel."""
        least, most = (bound.to(colors)[None, :, None, None] for bound in (self.least, self.most))
        return colors.clamp(least, most)

    def given_to(self, colors: Tensor, moments: ColorMoments) -> Tensor:
        """Return colors (N, C, H, W), whose own `moments` are given, with these moments.

        x -> (S + e)^1/2 (C + e)^-1/2 (x - m) + n, with e = `EPSILON` times the identity.
        """
        change = _power(self.covariance, 0.5) @ _power(moments.covariance, -0.5)
        offset = self.mean - change @ moments.mean
        return functional.conv2d(colors, change.to(colors)[:, :, None, None], offset.to(colors))


def _power(covariance: Tensor, exponent: float) -> Tensor:
    """Return a power of a covariance plus `EPSILON` times the identity."""
    values, vectors = torch.linalg.eigh(covariance)
    powers: Tensor = (values.clamp_min(0) + EPSILON) ** exponent
    power: Tensor = (vectors * powers) @ vectors.mT
    return power
