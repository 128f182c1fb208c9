"""Style loss: squared differences of Gram matrices (Gatys, Ecker and Bethge 2015, eqs. 3-5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ...core.backend import Features
from ...core.specs import LossTermSpec, NoOptions
from ...core.terms import Sums, SumTerm
from ..hookspecs import hookimpl


class StyleLoss(SumTerm):
    """sum_l w_l / (4 N_l^2) sum_ij (G_ij / M - A_ij / M')^2, averaged over the styles.

    G and A are the Gram matrices of the result and of a style image; N_l is the number of channels,
    M and M' are the numbers of positions. Where both images have one size this is the paper's
    1 / (4 N_l^2 M_l^2) sum_ij (G_ij - A_ij)^2; each Gram matrix is divided by its own M, so that
    styles of another size compare. Any real activations; summed over the batch.
    """

    reads = frozenset({"styles"})

    def __init__(self, layers: Mapping[str, float], options: NoOptions) -> None:
        self.layers = tuple(layers)
        self._weights = dict(layers)

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
                difference = own - _mean_gram(style, layer)
                factor = share * weight / (4 * own.shape[-1] ** 2)
                shares.append(factor * difference.square().sum())
        return torch.stack(shares).sum()


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
        layers_from="style",
    )
