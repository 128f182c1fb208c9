"""First and second moments about a pivot, as a torch.autograd function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .sums import CHUNK, double


def pivoted_sums(
    rows: Tensor, pivot: Tensor, weights: Tensor | None, exact: bool
) -> tuple[Tensor, Tensor]:
    """Compute the sums r (N, C) and S (N, C, C) about a pivot, float64.

    r = sum_k w_k (F_k - p) and S = sum_k w_k (F_k - p)(F_k - p)^T, of rows (N, C, M) about a
    constant pivot (N, C), with weights (1, 1, M), if there are any. `exact` multiplies in float64.
    """
    sums: tuple[Tensor, Tensor] = _PivotedSums.apply(  # type: ignore[no-untyped-call]
        rows, pivot, weights, exact
    )
    return sums


class _PivotedSums(torch.autograd.Function):
    """Sums r (N, C) and S (N, C, C), float64, of rows (N, C, M) about a constant pivot (N, C).

    It never holds a centred copy of all the features. autograd would compute two products, one for
    each factor of S, although both factors are equal.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        rows: Tensor,
        pivot: Tensor,
        weights: Tensor | None,
        exact: bool,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(rows, pivot, weights)  # type: ignore[arg-type]  # None may be saved
        residual = double(torch.zeros_like(pivot))
        scatter = residual.unsqueeze(2) * residual.unsqueeze(1)
        for first in range(0, rows.shape[2], CHUNK):
            chunk = slice(first, first + CHUNK)
            centred = rows[..., chunk] - pivot.unsqueeze(2)
            if exact:
                centred = double(centred)
            weighted = centred if weights is None else centred * weights[..., chunk].to(centred)
            residual += double(weighted.sum(2))
            scatter += double(weighted @ centred.mT)
        return residual, scatter

    @staticmethod
    def backward(
        ctx: torch.autograd.function.BackwardCFunction, residual: Tensor, scatter: Tensor
    ) -> tuple[Tensor, None, None, None]:
        saved: Sequence[Any] = ctx.saved_tensors
        rows, pivot, weights = saved
        factor = scatter + scatter.mT
        constant = residual.unsqueeze(2) - factor @ double(pivot).unsqueeze(2)
        gradient: Tensor = torch.baddbmm(constant.to(rows), factor.to(rows), rows)
        if weights is not None:
            gradient *= weights.to(gradient)
        return gradient, None, None, None
