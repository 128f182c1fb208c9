"""Style loss: squared differences of Gram matrices (Gatys, Ecker and Bethge 2015, eqs. 3-5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermSpec
from ...core.interfaces.terms import Region, Sums, SumTerm
from ..hookspecs import hookimpl
from .statistics.sums import TINY, count_of, weights_of

if TYPE_CHECKING:
    from torch import Tensor


class StyleOptions(BaseModel):
    """Options of the loss term `style`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalization: Literal["relative", "paper"] = Field(
        default="relative",
        description="relative to the style's Gram matrix, so that layers can be compared, "
        "or as in the paper, where one layer may outweigh another a hundred thousand times",
    )


class StyleLoss(SumTerm):
    """Squared differences of the Gram matrices of result and style, weighted over the layers.

        sum_l w_l / d_l sum_ij (G_ij / M - A_ij / M')^2, averaged over the styles by their shares

    G and A are the Gram matrices of the result and of a style image; M and M' are the numbers of
    positions, so that images of different sizes compare. In a region both are weighted sums:
    G_ij = sum_k w_k F_ik F_jk, M = sum_k w_k (Gatys et al. 2017). `normalization` chooses d_l:

    - "paper": 4 N_l^2, with N_l channels. Where both images have one size, this is the paper's
      1 / (4 N_l^2 M_l^2) sum_ij (G_ij - A_ij)^2.
    - "relative": sum_ij (A_ij / M')^2, which makes the loss independent of the layer's and the
      network's units: an image without any activation has a loss of 1.

    Any real activations; summed over the batch.
    """

    reads = frozenset({"styles"})

    def __init__(self, layers: Mapping[str, float], options: StyleOptions) -> None:
        self.layers = tuple(layers)
        self._weights = dict(layers)
        self._relative = options.normalization == "relative"

    def sums(self, features: Features, content: Features, region: Region) -> Sums:
        """Compute each layer's Gram matrix (N, C, C), and its number of positions."""
        from .statistics.gram import gram_matrix

        sums: dict[str, Tensor] = {}
        for layer in self.layers:
            weights = weights_of(region, layer)
            sums[layer] = gram_matrix(features[layer], weights)
            sums[f"{layer} positions"] = count_of(features[layer].flatten(2), weights)
        return sums

    def loss_of_sums(self, sums: Sums, styles: Sequence[tuple[Sums, float]]) -> Tensor:
        """Compute the loss: the weighted sum over layers and styles."""
        import torch

        losses = []
        for layer, weight in self._weights.items():
            gram = _mean_gram(sums, layer)
            for style, share in styles:
                target = _mean_gram(style, layer)
                squared = (gram - target).square().sum()
                losses.append(share * weight * squared / self._divisor(target))
        return torch.stack(losses).sum()

    def _divisor(self, target: Tensor) -> Tensor | float:
        if self._relative:
            return target.square().sum().clamp_min(TINY)
        return 4.0 * target.shape[-1] ** 2


def _mean_gram(sums: Sums, layer: str) -> Tensor:
    return sums[layer] / sums[f"{layer} positions"].clamp_min(TINY)


@hookimpl
def stylectl_loss_terms() -> Iterable[LossTermSpec]:
    """Yield the loss term `style`."""
    yield LossTermSpec(
        name="style",
        summary="squared differences of Gram matrices (Gatys et al. 2015)",
        create=StyleLoss,
        options=StyleOptions,
        layers_from="style",
    )
