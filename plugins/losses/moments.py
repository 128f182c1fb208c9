"""Moment loss: squared differences of each channel's mean and standard deviation.

Li, Wang, Liu and Hou 2017, "Demystifying Neural Style Transfer", where the statistics of batch
normalization are the style.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermSpec
from ...core.interfaces.terms import Region, Sums, SumTerm
from ..hookspecs import hookimpl
from .statistics.sums import TINY, count_of, double, mean_of, weights_of

if TYPE_CHECKING:
    from torch import Tensor


class MomentsOptions(BaseModel):
    """Options of the loss term `moments`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalization: Literal["relative", "paper"] = Field(
        default="relative",
        description="relative to the style's means and deviations, so that layers can be "
        "compared, or the paper's mean over the channels",
    )


class MomentsLoss(SumTerm):
    """Squared differences of the channels' means and deviations, weighted over the layers.

        sum_l w_l / d_l sum_i (mu_i - mu'_i)^2 + (sigma_i - sigma'_i)^2, averaged over the styles

    mu_i and sigma_i are channel i's mean and standard deviation over the positions, mu' and sigma'
    those of a style image. `normalization` chooses d_l: N_l, the number of channels ("paper"), or
    sum_i mu'_i^2 + sigma'_i^2 ("relative"), which makes the loss independent of the layer's and
    the network's units: an image without any activation has a loss of 1.

    Any real activations (N, C, H, W); summed over the batch. A deviation below 1e-6 counts as 1e-6
    and has a gradient of zero: the square root has no derivative at zero, the variance of dead
    channels.
    """

    reads = frozenset({"styles"})

    def __init__(self, layers: Mapping[str, float], options: MomentsOptions) -> None:
        self.layers = tuple(layers)
        self._weights = dict(layers)
        self._relative = options.normalization == "relative"

    def sums(self, features: Features, content: Features, region: Region) -> Sums:
        """Compute each layer's sum F and sum F^2 (N, C), float64, and its number of positions.

        The sums are taken about the channel's mean and moved back in float64; otherwise the
        variance of a bright, even channel would be lost to rounding. See `covariance_sums`.
        """
        sums: dict[str, Tensor] = {}
        for layer in self.layers:
            rows = features[layer].flatten(2)
            weights = weights_of(region, layer)
            positions, pivot = count_of(rows, weights), mean_of(rows, weights)
            centred, shift, count = rows - pivot.unsqueeze(2), double(pivot), double(positions)
            powers = [centred, centred.square()]
            if weights is not None:
                powers = [power * weights.to(centred) for power in powers]
            residual, squares = (double(power.sum(2)) for power in powers)
            sums[f"{layer} totals"] = residual + count * shift
            sums[f"{layer} squares"] = squares + 2 * shift * residual + count * shift.square()
            sums[f"{layer} positions"] = positions
        return sums

    def loss_of_sums(self, sums: Sums, styles: Sequence[tuple[Sums, float]]) -> Tensor:
        """Compute the loss: the weighted sum over layers and styles."""
        import torch

        losses = []
        for layer, weight in self._weights.items():
            moments = _moments(sums, layer)
            for style, share in styles:
                target = _moments(style, layer)
                squared = (moments - target).square().sum()
                losses.append(share * weight * squared / self._divisor(target))
        return torch.stack(losses).sum().to(sums[f"{self.layers[0]} positions"])

    def _divisor(self, target: Tensor) -> Tensor | float:
        if self._relative:
            return target.square().sum().clamp_min(TINY)
        return float(target.shape[-1])


def _moments(sums: Sums, layer: str) -> Tensor:
    """Compute means and standard deviations of the channels: (2, N, C)."""
    import torch

    count = double(sums[f"{layer} positions"]).clamp_min(TINY)
    mean = sums[f"{layer} totals"] / count
    variance = sums[f"{layer} squares"] / count - mean.square()
    return torch.stack([mean, variance.clamp_min(TINY).sqrt()])


@hookimpl
def stylectl_loss_terms() -> Iterable[LossTermSpec]:
    """Yield the loss term `moments`."""
    yield LossTermSpec(
        name="moments",
        summary="differences of each channel's mean and deviation (Li et al. 2017)",
        create=MomentsLoss,
        options=MomentsOptions,
        layers_from="style",
    )
