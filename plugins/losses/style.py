"""Style loss: squared differences of Gram matrices (Gatys, Ecker and Bethge 2015, eqs. 3-5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from ...core.backend import Features
from ...core.specs import LossTermSpec
from ...core.terms import Sums, SumTerm
from ..hookspecs import hookimpl
from .statistics import TINY


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
    positions, so that images of different sizes compare. `normalization` chooses d_l:

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

    def sums(self, features: Features, content: Features) -> Sums:
        """Per layer: the Gram matrix (N, C, C), and the number of positions."""
        sums: dict[str, Tensor] = {}
        for layer in self.layers:
            sums[layer] = gram_matrix(features[layer])
            sums[f"{layer} positions"] = torch.tensor(float(features[layer][0, 0].numel()))
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

    def _divisor(self, target: Tensor) -> float:
        if self._relative:
            return max(target.square().sum().item(), TINY)
        return 4.0 * target.shape[-1] ** 2


def gram_matrix(features: Tensor) -> Tensor:
    """G_ij = sum_k F_ik F_jk (eq. 3): (N, C, H, W) -> (N, C, C), summed over the positions."""
    gram: Tensor = _Gram.apply(features)  # type: ignore[no-untyped-call]
    return gram


class _Gram(torch.autograd.Function):
    """autograd would multiply twice, once for each factor, not knowing that they are the same."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        rows = features.flatten(2)
        return rows @ rows.mT

    @staticmethod
    def backward(ctx: torch.autograd.function.BackwardCFunction, gradient: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        return ((gradient + gradient.mT) @ features.flatten(2)).view_as(features)


def _mean_gram(sums: Sums, layer: str) -> Tensor:
    return sums[layer] / sums[f"{layer} positions"].item()


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
