"""What the statistics of several terms share: a floor for divisors, and sums over positions from
which means and covariances follow without loss of digits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ...core.backend import Features
from ...core.terms import Sums

#: In place of a divisor of zero: black images have activations of zero.
TINY = 1e-12

#: Positions that are centred at a time: copies of whole layers would cost as much as the network.
CHUNK = 65536


def double(tensor: Tensor) -> Tensor:
    """In float64; on the CPU if the device has no such numbers."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def covariance_sums(features: Features, layers: Iterable[str], exact: bool = False) -> Sums:
    """Per layer: sum_k F_k (N, C), sum_k F_k F_k^T (N, C, C) in float64, and the number of
    positions, a scalar of the features' own type and device.

    E[F F^T] - E[F] E[F]^T is a small difference of large numbers wherever a channel varies little
    around a large mean; in float32 nothing may be left of it. So the features are taken about a
    pivot p, their own mean, where float32 loses nothing, and moved back in float64:

        sum F = r + M p,  sum F F^T = S + r p^T + p r^T + M p p^T,

    with r = sum (F - p) and S = sum (F - p)(F - p)^T over the M positions. This holds for every p,
    so the sums of tiles add up although each tile has a pivot of its own. `exact` multiplies in
    float64 as well, for those who need eigenvalues smaller than 1e-7 of the largest.
    """
    sums: dict[str, Tensor] = {}
    for layer in layers:
        rows = features[layer].flatten(2)
        count, pivot = float(rows.shape[2]), rows.detach().mean(2)
        residual, scatter = _AboutPivot.apply(rows, pivot, exact)  # type: ignore[no-untyped-call]
        shift = double(pivot)
        mixed = residual.unsqueeze(2) * shift.unsqueeze(1)
        constant = count * shift.unsqueeze(2) * shift.unsqueeze(1)
        sums[f"{layer} totals"] = residual + count * shift
        sums[f"{layer} products"] = scatter + mixed + mixed.mT + constant
        sums[f"{layer} positions"] = rows.new_tensor(count)
    return sums


def mean_and_covariance(sums: Sums, layer: str) -> tuple[Tensor, Tensor]:
    """mu (N, C) and C = E[F F^T] - mu mu^T (N, C, C) in float64."""
    count = double(sums[f"{layer} positions"])
    mean = sums[f"{layer} totals"] / count
    return mean, sums[f"{layer} products"] / count - mean.unsqueeze(2) * mean.unsqueeze(1)


class _AboutPivot(torch.autograd.Function):
    """r (N, C) and S (N, C, C), float64, of rows (N, C, M) about a constant pivot (N, C).

    It never holds a centred copy of the features, and autograd would multiply twice, once for each
    factor of S, not knowing that they are the same.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, rows: Tensor, pivot: Tensor, exact: bool
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(rows, pivot)
        residual = double(torch.zeros_like(pivot))
        scatter = residual.unsqueeze(2) * residual.unsqueeze(1)
        for chunk in torch.split(rows, CHUNK, dim=2):
            centred = chunk - pivot.unsqueeze(2)
            if exact:
                centred = double(centred)
            residual += double(centred.sum(2))
            scatter += double(centred @ centred.mT)
        return residual, scatter

    @staticmethod
    def backward(
        ctx: torch.autograd.function.BackwardCFunction, residual: Tensor, scatter: Tensor
    ) -> tuple[Tensor, None, None]:
        saved: Sequence[Tensor] = ctx.saved_tensors
        rows, pivot = saved
        factor = scatter + scatter.mT
        constant = residual.unsqueeze(2) - factor @ double(pivot).unsqueeze(2)
        return torch.baddbmm(constant.to(rows), factor.to(rows), rows), None, None
