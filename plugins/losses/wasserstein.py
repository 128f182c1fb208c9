"""Wasserstein loss: the distance between the Gaussians with the features' mean and covariance.

The closed form is that of Dowson and Landau 1982, "The Fréchet distance between multivariate
normal distributions". As a loss for pixels it is known from code: Vince Marron's "Style Transfer as
Optimal Transport" and Katherine Crowson's style-transfer-pytorch. Mroueh 2019, "Wasserstein Style
Transfer", has the same view of style, but moves the features of an autoencoder by the optimal map
instead of minimizing the distance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ...core.backend import Features
from ...core.specs import LossTermSpec, NoOptions
from ...core.terms import Region, Sums, SumTerm
from ..hookspecs import hookimpl
from .statistics import TINY, covariance_sums, mean_and_covariance


class WassersteinLoss(SumTerm):
    """sum_l w_l / d_l (|mu - mu'|^2 + tr(C + C' - 2 (C'^1/2 C C'^1/2)^1/2)), averaged over styles.

    mu and C are mean and covariance over the positions, mu' and C' those of a style image: the
    squared 2-Wasserstein distance of two Gaussians. d_l = |mu'|^2 + tr C', the style's mean square,
    makes it independent of the layer's and the network's units: 1 is what an image without any
    activation would have.

    Any real activations (N, C, H, W); summed over the batch. Everything behind the features is
    float64: an error e of a matrix is one of sqrt(e) in the root of its small eigenvalues, and a
    layer with fewer positions than channels has hundreds that are zero. In float32 that would be
    3e-4 of the largest for each of them. What is left is about 1e-8 for each, of either sign.
    """

    reads = frozenset({"styles"})

    def __init__(self, layers: Mapping[str, float], options: NoOptions) -> None:
        self.layers = tuple(layers)
        self._weights = dict(layers)

    def sums(self, features: Features, content: Features, region: Region) -> Sums:
        """Per layer: first and second moments, and the number of positions."""
        return covariance_sums(features, self.layers, region, exact=True)

    def prepared(self, sums: Sums) -> Sums:
        """Per layer: the style's mean (1, C), a factor L (1, C, R) of its covariance L L^T, and the
        covariance's trace."""
        gaussians: dict[str, Tensor] = {}
        for layer in self.layers:
            mean, covariance = mean_and_covariance(sums, layer)
            gaussians[f"{layer} mean"] = mean
            gaussians[f"{layer} factor"] = _factor(covariance)
            gaussians[f"{layer} trace"] = _trace(covariance)
        return gaussians

    def loss_of_sums(self, sums: Sums, styles: Sequence[tuple[Sums, float]]) -> Tensor:
        """The weighted sum over layers and styles."""
        shares = []
        for layer, weight in self._weights.items():
            own = mean_and_covariance(sums, layer)
            for style, share in styles:
                mean, factor, trace = (style[f"{layer} {each}"] for each in _GAUSSIAN)
                distance = _distance(*own, mean, factor, trace)
                mean_square = (mean.square().sum() + trace).clamp_min(TINY)
                shares.append(share * weight * distance / mean_square)
        return torch.stack(shares).sum().to(sums[f"{self.layers[0]} positions"])


_GAUSSIAN = ("mean", "factor", "trace")


def _factor(covariance: Tensor) -> Tensor:
    """Any factor does in place of C^1/2: L^T C L and C'^1/2 C C'^1/2 have the same eigenvalues.
    This one leaves out what is zero to rounding, so that the problem in each step is smaller."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = values[0] > _noise(values)[0]
    factor: Tensor = vectors[..., kept] * values[:, kept].sqrt().unsqueeze(1)
    return factor


def _trace(covariance: Tensor) -> Tensor:
    trace: Tensor = covariance.diagonal(dim1=1, dim2=2).sum()
    return trace


def _distance(
    mean: Tensor, covariance: Tensor, target: Tensor, factor: Tensor, trace: Tensor
) -> Tensor:
    """|mu - mu'|^2 + tr(C + C') - 2 tr (L^T C L)^1/2, summed over the batch."""
    apart: Tensor = (mean - target).square().sum() + _trace(covariance) + len(mean) * trace
    if factor.shape[-1] == 0:  # a flat style
        return apart
    common: Tensor = _RootTrace.apply(  # type: ignore[no-untyped-call]
        factor.mT @ covariance @ factor
    )
    return apart - 2 * common


class _RootTrace(torch.autograd.Function):
    """sum of tr S^1/2 over symmetric S (N, R, R), with d tr S^1/2 = 1/2 tr(S^-1/2 dS).

    The derivative of an eigendecomposition itself divides by differences of eigenvalues; this one
    does not. Eigenvalues that are zero to rounding count as zero, for the value and the gradient:
    there the root has a kink, like |x|, and zero is one of its slopes.
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
    """What rounding makes of eigenvalues (N, R), in rising order, that are zero: (N, 1)."""
    return values.shape[1] * torch.finfo(values.dtype).eps * values[:, -1:].clamp_min(TINY**2)


@hookimpl
def stylectl_loss_terms() -> Iterable[LossTermSpec]:
    """The term `wasserstein`."""
    yield LossTermSpec(
        name="wasserstein",
        summary="2-Wasserstein distance of the features as Gaussians (Dowson and Landau 1982)",
        create=WassersteinLoss,
        layers_from="style",
    )
