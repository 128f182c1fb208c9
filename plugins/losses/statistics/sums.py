"""Statistics that several loss terms share.

Sums over positions, from which means and covariances follow without loss of digits; quantiles; and
a floor for divisors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....core.interfaces.statistics import FeatureTile, LayerStatistics, Statistics
from ....core.interfaces.terms import Region

if TYPE_CHECKING:
    from torch import Tensor

#: Least value of a divisor: black images have activations of zero.
TINY = 1e-12

#: Positions that are centred at a time: a copy of a whole layer would cost as much as the network.
CHUNK = 65536


@dataclass(frozen=True)
class CovarianceSums(LayerStatistics):
    """First and second moments of a layer: sums over its positions k of weight w_k.

    - `totals`: sum_k w_k F_k, (N, C), float64.
    - `products`: sum_k w_k F_k F_k^T, (N, C, C), float64.
    - `positions`: M = sum_k w_k, a scalar of the features' type and device.
    """

    totals: Tensor
    products: Tensor
    positions: Tensor


def double(tensor: Tensor) -> Tensor:
    """Convert to float64, on the CPU if the tensor's device has no float64."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def weights_of(region: Region, layer: str) -> Tensor | None:
    """Weights (1, 1, M) of the positions at a layer; None if they are all 1."""
    return region[layer].flatten(2) if region else None


def weighted(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Multiply rows (N, C, M) by weights (1, 1, M), if there are any."""
    return rows if weights is None else rows * weights.to(rows)


def least_positive(like: Tensor) -> float:
    """Return the least positive number of a tensor's type, without those that lack digits."""
    import torch

    return torch.finfo(like.dtype).tiny


def count_of(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Number of positions of rows (N, C, M), or the sum of their weights.

    A scalar tensor of the rows' type, on their device.
    """
    return rows.new_full((), rows.shape[2]) if weights is None else weights.sum().to(rows)


def mean_of(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Mean (N, C), without a gradient, of rows (N, C, M) with weights (1, 1, M)."""
    rows = rows.detach()
    if weights is None:
        return rows.mean(2)
    return (rows @ weights.to(rows).mT).squeeze(2) / weights.sum().clamp_min(TINY)


def covariance_sums(
    tile: FeatureTile, layers: Iterable[str], exact: bool = False
) -> Statistics[CovarianceSums]:
    """Compute each layer's first and second moments, and its number of positions.

    The weights w_k of the positions are 1 if the tile's region is empty.

    E[F F^T] - E[F] E[F]^T is a small difference of large numbers wherever a channel varies little
    around a large mean; in float32 all its digits may be lost. So the features are taken about a
    pivot p, their mean, where float32 loses nothing, and moved back in float64:

        sum w F = r + M p,  sum w F F^T = S + r p^T + p r^T + M p p^T,

    with r = sum w (F - p) and S = sum w (F - p)(F - p)^T. This holds for every p, so that the sums
    of tiles add up although each tile has a pivot of its own. `exact` multiplies in float64 as
    well, for losses that need eigenvalues smaller than 1e-7 of the largest.
    """
    from .pivoted_sums import pivoted_sums

    sums: dict[str, CovarianceSums] = {}
    for layer in layers:
        rows = tile.features[layer].flatten(2)
        weights = weights_of(tile.region, layer)
        positions, pivot = count_of(rows, weights), mean_of(rows, weights)
        residual, scatter = pivoted_sums(rows, pivot, weights, exact)
        shift, count = double(pivot), double(positions)
        mixed = residual.unsqueeze(2) * shift.unsqueeze(1)
        constant = count * shift.unsqueeze(2) * shift.unsqueeze(1)
        sums[layer] = CovarianceSums(
            totals=residual + count * shift,
            products=scatter + mixed + mixed.mT + constant,
            positions=positions,
        )
    return sums


def mean_and_covariance(sums: CovarianceSums) -> tuple[Tensor, Tensor]:
    """Compute mu (N, C) and C = E[F F^T] - mu mu^T (N, C, C), in float64."""
    count = double(sums.positions).clamp_min(TINY)
    mean = sums.totals / count
    return mean, sums.products / count - mean.unsqueeze(2) * mean.unsqueeze(1)


def resampled(quantiles: Tensor, positions: int) -> Tensor:
    """Interpolate quantiles linearly: (N, D, M) -> (N, D, positions).

    Value i is the quantile (i + 1/2) / M.
    """
    from torch.nn import functional

    if quantiles.shape[2] == positions:
        return quantiles
    return functional.interpolate(quantiles, positions, mode="linear", align_corners=False)
