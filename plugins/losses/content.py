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
    """Options of the loss term `content`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalization: Literal["relative", "mean", "paper"] = Field(
        default="relative",
        description="relative to the activations of the content image, the mean over elements, "
        "or the paper's plain sum, which grows with the size",
    )


class ContentLoss(SumTerm):
    """Squared differences from the content image's activations, weighted over the layers.

        sum_l v_l 1/2 sum_ij w_j (F_ij - P_ij)^2 / d_l

    F are the activations of the result, P those of the content image, and w the weights of the
    positions: 1, or the content's region.

    `normalization` chooses d_l: 1 ("paper"), the number of elements ("mean"), or sum_ij P_ij^2
    ("relative"), which makes the loss independent of the size, the layer and the network's units.
    d_l does not depend on the region: positions outside of it are free, and those inside count as
    much as without a region.

    Any real activations; summed over the batch.
    """

    reads = frozenset({"content"})

    def __init__(self, layers: Mapping[str, float], options: ContentOptions) -> None:
        self.layers = tuple(layers)
        self._weights = dict(layers)
        self._normalization = options.normalization
        self.grows = options.normalization == "paper"

    def sums(self, features: Features, content: Features, region: Region) -> Sums:
        """Compute each layer's sum of squared differences, and its divisor."""
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
        """Compute the loss: half the weighted sum over the layers."""
        import torch

        losses = []
        for layer, weight in self._weights.items():
            divisor = sums.get(f"{layer} divisor")
            loss = 0.5 * weight * sums[layer]
            losses.append(loss if divisor is None else loss / divisor.clamp_min(TINY))
        return torch.stack(losses).sum()


@hookimpl
def stylectl_loss_terms() -> Iterable[LossTermSpec]:
    """Yield the loss term `content`."""
    yield LossTermSpec(
        name="content",
        summary="squared differences of activations (Gatys et al. 2015)",
        create=ContentLoss,
        options=ContentOptions,
        layers_from="content",
    )
