"""Wasserstein loss: distance between Gaussians with the features' mean and covariance.

The closed form is that of Dowson and Landau 1982, "The Fréchet distance between multivariate
normal distributions". As a loss of pixels it is in the code of Vince Marron's "Style Transfer as
Optimal Transport" and of Katherine Crowson's style-transfer-pytorch. Mroueh 2019, "Wasserstein
Style Transfer", models style in the same way, but moves the features of an autoencoder by the
optimal map instead of minimizing the distance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...core.interfaces.specs import LossTermArguments, LossTermSpec, NoOptions
from ...core.interfaces.statistics import FeatureTile, Statistics, StatisticsTerm, StyleTarget
from .. import hooks
from .statistics.sums import TINY, CovarianceSums, covariance_sums, mean_and_covariance

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Gaussian:
    """Gaussian of a style's features: mean (1, C), a factor L (1, C, R) and the trace of L L^T."""

    mean: Tensor
    factor: Tensor
    trace: Tensor


class WassersteinLoss(StatisticsTerm[CovarianceSums, Mapping[str, Gaussian]]):
    """Squared 2-Wasserstein distances of Gaussians, weighted over the layers.

        sum_l w_l / d_l (|mu - mu'|^2 + tr(C + C' - 2 (C'^1/2 C C'^1/2)^1/2)), averaged over styles

    mu and C are mean and covariance over the positions, mu' and C' those of a style image.
    d_l = |mu'|^2 + tr C', the style's mean square, makes the loss independent of the layer's and
    the network's units: an image without any activation has a loss of 1.

    Any real activations (N, C, H, W); summed over the batch. All that is computed from the features
    is float64: an error e of a matrix becomes an error of sqrt(e) in the root of its small
    eigenvalues, and a layer with fewer positions than channels has hundreds that are zero. In
    float32 that would be 3e-4 of the largest for each of them. In float64 about 1e-8 remains for
    each, of either sign.
    """

    reads = frozenset({"styles"})

    def __init__(self, arguments: LossTermArguments[NoOptions]) -> None:
        self.layers = tuple(arguments.layers)
        self._weights = dict(arguments.layers)

    def statistics(self, tile: FeatureTile) -> Statistics[CovarianceSums]:
        """Compute each layer's first and second moments, and its number of positions."""
        return covariance_sums(tile, self.layers, exact=True)

    def target(self, statistics: Statistics[CovarianceSums]) -> Mapping[str, Gaussian]:
        """Compute each layer's Gaussian of a style."""
        from .statistics.gaussians import factor_of, trace_of

        gaussians: dict[str, Gaussian] = {}
        for layer in self.layers:
            mean, covariance = mean_and_covariance(statistics[layer])
            gaussians[layer] = Gaussian(mean, factor_of(covariance), trace_of(covariance))
        return gaussians

    def loss_of_statistics(
        self,
        statistics: Statistics[CovarianceSums],
        targets: Sequence[StyleTarget[Mapping[str, Gaussian]]],
    ) -> Tensor:
        """Compute the loss: the weighted sum over layers and styles."""
        import torch

        from .statistics.gaussians import squared_distance

        losses = []
        for layer, weight in self._weights.items():
            mean, covariance = mean_and_covariance(statistics[layer])
            for style in targets:
                target = style.target[layer]
                distance = squared_distance(
                    mean, covariance, target.mean, target.factor, target.trace
                )
                mean_square = (target.mean.square().sum() + target.trace).clamp_min(TINY)
                losses.append(style.weight * weight * distance / mean_square)
        return torch.stack(losses).sum().to(statistics[self.layers[0]].positions)


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `wasserstein`."""
    yield LossTermSpec(
        name="wasserstein",
        summary="2-Wasserstein distance of the features as Gaussians (Dowson and Landau 1982)",
        create=WassersteinLoss,
        options=NoOptions,
        layers_from="style",
    )
