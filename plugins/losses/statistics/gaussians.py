"""Squared 2-Wasserstein distance of Gaussians, and its gradient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .sums import TINY


def factor_of(covariance: Tensor) -> Tensor:
    """Factor L (1, C, R) of a style's covariance C' = L L^T (1, C, C).

    Any factor may replace C'^1/2 in the distance: L^T C L and C'^1/2 C C'^1/2 have the same
    eigenvalues. This one leaves out eigenvalues that are zero up to rounding, so that the
    eigenproblem of each step is smaller.
    """
    values, vectors = torch.linalg.eigh(covariance)
    kept = values[0] > _noise(values)[0]
    factor: Tensor = vectors[..., kept] * values[:, kept].sqrt().unsqueeze(1)
    return factor


def trace_of(covariance: Tensor) -> Tensor:
    """Trace of a covariance (N, C, C), a scalar, summed over the batch."""
    trace: Tensor = covariance.diagonal(dim1=1, dim2=2).sum()
    return trace


def squared_distance(
    mean: Tensor, covariance: Tensor, target: Tensor, factor: Tensor, trace: Tensor
) -> Tensor:
    """Squared distance |mu - mu'|^2 + tr(C + C') - 2 tr (L^T C L)^1/2, summed over the batch.

    `mean` and `covariance` are mu and C; `target`, `factor` and `trace` are mu', L and tr C' of a
    style.
    """
    uncoupled: Tensor = (mean - target).square().sum() + trace_of(covariance) + len(mean) * trace
    if factor.shape[-1] == 0:  # a flat style
        return uncoupled
    coupling: Tensor = _RootTrace.apply(  # type: ignore[no-untyped-call]
        factor.mT @ covariance @ factor
    )
    return uncoupled - 2 * coupling


class _RootTrace(torch.autograd.Function):
    """Sum of tr S^1/2 over symmetric S (N, R, R), with d tr S^1/2 = 1/2 tr(S^-1/2 dS).

    The derivative of an eigendecomposition itself divides by differences of eigenvalues; this one
    does not. Eigenvalues that are zero up to rounding count as zero, for the value and the
    gradient: there the root has a kink, like |x|, and zero is one of its subgradients.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, matrix: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        roots = torch.where(values > _noise(values), values, 0).sqrt()
        ctx.save_for_backward(roots, vectors)
        return roots.sum()

    @staticmethod
    def backward(ctx: torch.autograd.function.BackwardCFunction, gradient: Tensor) -> Tensor:
        saved: Sequence[Tensor] = ctx.saved_tensors
        roots, vectors = saved
        inverse = torch.where(roots > 0, 0.5 / roots, 0)
        return gradient * (vectors * inverse.unsqueeze(1)) @ vectors.mT


def _noise(values: Tensor) -> Tensor:
    """Bound (N, 1) of the rounding errors of eigenvalues (N, R), in ascending order."""
    return values.shape[1] * torch.finfo(values.dtype).eps * values[:, -1:].clamp_min(TINY**2)
