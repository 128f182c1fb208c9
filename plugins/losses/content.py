"""Content loss: squared differences of activations (Gatys, Ecker and Bethge 2015, eq. 1)."""

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


class ContentOptions(BaseModel):
    """Options of the term `content`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reduction: Literal["mean", "sum"] = Field(
        default="mean",
        description="mean over elements, or the paper's sum, which grows with the size",
    )


class ContentLoss(SumTerm):
    """sum_l v_l 1/2 sum_ij (F_ij - P_ij)^2, with F of the result and P of the content image.

    With `reduction` "mean", each layer's sum is divided by its number of elements. Any real
    activations; summed over the batch.
    """

    reads = frozenset({"content"})

    def __init__(self, layers: Mapping[str, float], options: ContentOptions) -> None:
        self.layers = tuple(layers)
        self._weights = dict(layers)
        self._mean = options.reduction == "mean"

    def sums(self, features: Features, content: Features) -> Sums:
        """Per layer: the squared differences' sum, and the number of elements of one example."""
        sums = {}
        for layer in self.layers:
            difference = features[layer] - content[layer]
            sums[layer] = difference.square().sum()
            sums[f"{layer} elements"] = torch.tensor(float(difference[0].numel()))
        return sums

    def loss_of_sums(self, sums: Sums, styles: Sequence[tuple[Sums, float]]) -> Tensor:
        """Half the weighted sum over the layers."""
        shares = []
        for layer, weight in self._weights.items():
            divisor = sums[f"{layer} elements"].item() if self._mean else 1.0
            shares.append(0.5 * weight / divisor * sums[layer])
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
