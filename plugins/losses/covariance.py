"""Covariance loss: squared differences of covariance matrices.

These are the Gram matrices of Gatys, Ecker and Bethge (2015) of features less their mean. Sun and
Saenko 2016, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", align the domains of a
classifier by the same distance, divided by four times the squared number of channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermSpec
from ...core.interfaces.terms import Region, Sums, SumTerm
from ..hookspecs import hookimpl
from .statistics.sums import TINY, covariance_sums, mean_and_covariance

if TYPE_CHECKING:
    from torch import Tensor


class CovarianceOptions(BaseModel):
    """Options of the loss term `covariance`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalization: Literal["relative", "plain"] = Field(
        default="relative",
        description="relative to the style's covariance matrix, so that layers can be "
        "compared, or the plain sum of the squared differences",
    )


class CovarianceLoss(SumTerm):
    """Squared differences of the covariance matrices of result and style, weighted over the layers.

        sum_l w_l / d_l sum_ij (C_ij - C'_ij)^2, averaged over the styles by their shares

    C = E[(F - mu)(F - mu)^T] over the positions (N_l x N_l), C' that of a style image. A channel's
    mean does not count, only its variance and its covariance with others: the result may keep the
    content's brightness. `normalization` chooses d_l: 1 ("plain"), or sum_ij C'_ij^2 ("relative"),
    which makes the loss independent of the layer's and the network's units: a flat image has a
    loss of 1.

    Any real activations (N, C, H, W); summed over the batch. The matrices are float64, from
    products of centred float32 numbers (see `covariance_sums`).
    """

    reads = frozenset({"styles"})

    def __init__(self, layers: Mapping[str, float], options: CovarianceOptions) -> None:
        self.layers = tuple(layers)
        self._weights = dict(layers)
        self._relative = options.normalization == "relative"

    def sums(self, features: Features, content: Features, region: Region) -> Sums:
        """Compute each layer's first and second moments, and its number of positions."""
        return covariance_sums(features, self.layers, region)

    def loss_of_sums(self, sums: Sums, styles: Sequence[tuple[Sums, float]]) -> Tensor:
        """Compute the loss: the weighted sum over layers and styles."""
        import torch

        losses = []
        for layer, weight in self._weights.items():
            _, covariance = mean_and_covariance(sums, layer)
            for style, share in styles:
                _, target = mean_and_covariance(style, layer)
                squared = (covariance - target).square().sum()
                losses.append(share * weight * squared / self._divisor(target))
        return torch.stack(losses).sum().to(sums[f"{self.layers[0]} positions"])

    def _divisor(self, target: Tensor) -> Tensor | float:
        return target.square().sum().clamp_min(TINY) if self._relative else 1.0


@hookimpl
def stylectl_loss_terms() -> Iterable[LossTermSpec]:
    """Yield the loss term `covariance`."""
    yield LossTermSpec(
        name="covariance",
        summary="squared differences of covariance matrices (Sun and Saenko 2016)",
        create=CovarianceLoss,
        options=CovarianceOptions,
        layers_from="style",
    )
