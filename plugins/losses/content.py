"""Content loss: squared differences of activations (Gatys, Ecker and Bethge 2015, eq. 1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermSpec
from ...core.interfaces.terms import Region, Sums, SumTerm
from ..hookspecs import hookimpl
from .statistics.sums import TINY, weights_of

if TYPE_CHECKING:
    from torch import Tensor


class ContentOptions(BaseModel):
    """Options of the term `content`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalization: Literal["relative", "mean", "paper"] = Field(
        default="relative",
        description="relative to the content's own activations, the mean over elements, "
        "or the paper's plain sum, which grows with the size",
    )


class ContentLoss(SumTerm):
    """sum_l v_l 1/2 sum_ij w_j (F_ij - P_ij)^2 / d_l, with F of the result and P of the content
    image, and w the weights of the positions: 1, or the content's region.

    `normalization` chooses d_l: 1 ("paper"), the number of elements ("mean"), or sum_ij P_ij^2
    ("relative"), which makes the loss independent of the size, the layer and the network's units.
    It does not depend on the region: what is left out is set free, and the rest is held as before.
    Any real activations; summed over the batch.
    """

    reads = frozenset({"content"})

    def __init__(self, layers: Mapping[str, float], options: ContentOptions) -> None:
        self.layers = tuple(layers)
        self._weights = dict(layers)
        self._normalization = options.normalization
        self.grows = options.normalization == "paper"

    def sums(self, features: Features, content: Features, region: Region) -> Sums:
        """Per layer: the sum of the squared differences, and what it is divided by."""
        sums = {}
        for layer in self.layers:
            target = content[layer]
            squares, weights = (features[layer] - target).square(), weights_of(region, layer)
            if weights is not None:
                squares = squares.flatten(2) * weights.to(squares)
            sums[layer] = squares.sum()
            if self._normalization == "mean":
                sums[f"{layer} divisor"] = target.new_full((), target[0].numel())
            elif self._normalization == "relative":
                sums[f"{layer} divisor"] = target.square().sum()
        return sums

    def loss_of_sums(self, sums: Sums, styles: Sequence[tuple[Sums, float]]) -> Tensor:
        """Half the weighted sum over the layers."""
        import torch

        shares = []
        for layer, weight in self._weights.items():
            divisor = sums.get(f"{layer} divisor")
            share = 0.5 * weight * sums[layer]
            shares.append(share if divisor is None else share / divisor.clamp_min(TINY))
        return torch.stack(shares).sum()


@hookimpl
def stylectl_loss_terms() -> Iterable[LossTermSpec]:
    """The term `content`."""
    yield LossTermSpec(
        name="content",
        summary="squared differences of activations (Gatys et al. 2015)",
        create=ContentLoss,
        options=ContentOptions,
        layers_from="content",
    )
