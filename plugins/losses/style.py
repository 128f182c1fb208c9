"""Style loss: squared differences of Gram matrices (Gatys, Ecker and Bethge 2015, eqs. 3-5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from ...core.backend import Features
from ...core.specs import LossTermSpec
from ...core.terms import Region, Sums, SumTerm
from ..hookspecs import hookimpl
from .products import mixed_channels, outer_products
from .statistics import CHUNK, TINY, count_of, weights_of


class StyleOptions(BaseModel):
    """Options of the term `style`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalization: Literal["relative", "paper"] = Field(
        default="relative",
        description="relative to the style's own Gram matrix, so that layers can be compared, "
        "or as in the paper, where one layer may outweigh another a hundred thousand times",
    )


class StyleLoss(SumTerm):
    """sum_l w_l / d_l sum_ij (G_ij / M - A_ij / M')^2, averaged over the styles by their shares.

    G and A are the Gram matrices of the result and of a style image; M and M' are the numbers of
    positions, so that images of different sizes compare. In a region both are weighted sums:
    G_ij = sum_k w_k F_ik F_jk, M = sum_k w_k (Gatys et al. 2017). `normalization` chooses d_l:

    - "paper": 4 N_l^2, with N_l channels. Where both images have one size, this is the paper's
      1 / (4 N_l^2 M_l^2) sum_ij (G_ij - A_ij)^2.
    - "relative": sum_ij (A_ij / M')^2, which makes the loss independent of the layer's and the
      network's units: 1 is what an image without any activation would have.

    Any real activations; summed over the batch.
    """

    reads = frozenset({"styles"})

    def __init__(self, layers: Mapping[str, float], options: StyleOptions) -> None:
        self.layers = tuple(layers)
        self._weights = dict(layers)
        self._relative = options.normalization == "relative"

    def sums(self, features: Features, content: Features, region: Region) -> Sums:
        """Per layer: the Gram matrix (N, C, C), and the number of positions."""
        sums: dict[str, Tensor] = {}
        for layer in self.layers:
            weights = weights_of(region, layer)
            sums[layer] = gram_matrix(features[layer], weights)
            sums[f"{layer} positions"] = count_of(features[layer].flatten(2), weights)
        return sums

    def loss_of_sums(self, sums: Sums, styles: Sequence[tuple[Sums, float]]) -> Tensor:
        """The weighted sum over layers and styles."""
        shares = []
        for layer, weight in self._weights.items():
            own = _mean_gram(sums, layer)
            for style, share in styles:
                target = _mean_gram(style, layer)
                squared = (own - target).square().sum()
                shares.append(share * weight * squared / self._divisor(target))
        return torch.stack(shares).sum()

    def _divisor(self, target: Tensor) -> Tensor | float:
        if self._relative:
            return target.square().sum().clamp_min(TINY)
        return 4.0 * target.shape[-1] ** 2


def gram_matrix(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """G_ij = sum_k w_k F_ik F_jk (eq. 3): (N, C, H, W) -> (N, C, C), summed over the positions k,
    with their weights (1, 1, H * W), if there are any."""
    gram: Tensor = _Gram.apply(features, weights)  # type: ignore[no-untyped-call]
    return gram


class _Gram(torch.autograd.Function):
    """autograd would multiply twice, once for each factor, not knowing that they are the same."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, features: Tensor, weights: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(features, weights)  # type: ignore[arg-type]  # None may be saved
        if weights is None:
            return outer_products(features)
        rows = features.flatten(2)
        gram = rows.new_zeros(rows.shape[0], rows.shape[1], rows.shape[1])
        for first in range(0, rows.shape[2], CHUNK):
            some = rows[..., first : first + CHUNK]
            gram.baddbmm_(some * weights[..., first : first + CHUNK].to(some), some.mT)
        return gram

    @staticmethod
    def backward(
        ctx: torch.autograd.function.BackwardCFunction, gradient: Tensor
    ) -> tuple[Tensor, None]:
        saved: Sequence[Any] = ctx.saved_tensors
        features, weights = saved
        product = mixed_channels(gradient + gradient.mT, features)
        if weights is not None:
            product *= weights.to(product).unflatten(2, features.shape[2:])
        return product, None


def _mean_gram(sums: Sums, layer: str) -> Tensor:
    return sums[layer] / sums[f"{layer} positions"].clamp_min(TINY)


@hookimpl
def stylectl_loss_terms() -> Iterable[LossTermSpec]:
    """The term `style`."""
    yield LossTermSpec(
        name="style",
        summary="squared differences of Gram matrices (Gatys et al. 2015)",
        create=StyleLoss,
        options=StyleOptions,
        layers_from="style",
    )
