"""Wasserstein loss: distance between Gaussians with the features' mean and covariance.

The closed form is that of Dowson and Landau 1982, "The Fréchet distance between multivariate
normal distributions". As a loss of pixels it is in the code of Vince Marron's "Style Transfer as
Optimal Transport" and of Katherine Crowson's style-transfer-pytorch. Mroueh 2019, "Wasserstein
Style Transfer", models style in the same way, but moves the features of an autoencoder by the
optimal map instead of minimizing the distance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermSpec, NoOptions
from ...core.interfaces.terms import Region, Sums, SumTerm
from ..hookspecs import hookimpl
from .statistics.sums import TINY, covariance_sums, mean_and_covariance

if TYPE_CHECKING:
    from torch import Tensor


class WassersteinLoss(SumTerm):
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

    def __init__(self, layers: Mapping[str, float], options: NoOptions) -> None:
        self.layers = tuple(layers)
        self._weights = dict(layers)

    def sums(self, features: Features, content: Features, region: Region) -> Sums:
        """Compute each layer's first and second moments, and its number of positions."""
        return covariance_sums(features, self.layers, region, exact=True)

    def prepared(self, sums: Sums) -> Sums:
        """Compute each layer's Gaussian of a style.

        These are its mean (1, C), a factor L (1, C, R) of its covariance L L^T, and the
        covariance's trace.
        """
        from .statistics.gaussians import factor_of, trace_of

        gaussians: dict[str, Tensor] = {}
        for layer in self.layers:
            mean, covariance = mean_and_covariance(sums, layer)
            gaussians[f"{layer} mean"] = mean
            gaussians[f"{layer} factor"] = factor_of(covariance)
            gaussians[f"{layer} trace"] = trace_of(covariance)
        return gaussians

    def loss_of_sums(self, sums: Sums, styles: Sequence[tuple[Sums, float]]) -> Tensor:
        """Compute the loss: the weighted sum over layers and styles."""
        import torch

        from .statistics.gaussians import squared_distance

        losses = []
        for layer, weight in self._weights.items():
            moments = mean_and_covariance(sums, layer)
            for style, share in styles:
                mean, factor, trace = (style[f"{layer} {name}"] for name in _GAUSSIAN)
                distance = squared_distance(*moments, mean, factor, trace)
                mean_square = (mean.square().sum() + trace).clamp_min(TINY)
                losses.append(share * weight * distance / mean_square)
        return torch.stack(losses).sum().to(sums[f"{self.layers[0]} positions"])


#: Names of the statistics of a Gaussian, as `prepared` returns them.
_GAUSSIAN = ("mean", "factor", "trace")


@hookimpl
def stylectl_loss_terms() -> Iterable[LossTermSpec]:
    """Yield the loss term `wasserstein`."""
    yield LossTermSpec(
        name="wasserstein",
        summary="2-Wasserstein distance of the features as Gaussians (Dowson and Landau 1982)",
        create=WassersteinLoss,
        layers_from="style",
    )
