"""Histogram loss: activations remapped to the style's histograms.

Risser, Wilmot and Barnes 2017, "Stable and Controllable Neural Texture Synthesis and Style Transfer
Using Histogram Losses", section 4.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermArguments, LossTermSpec, NoOptions
from ...core.interfaces.terms import Loss, LossTerm, References
from .. import hooks
from .statistics.sums import TINY, resampled

if TYPE_CHECKING:
    from torch import Tensor


class HistogramLoss(LossTerm):
    """Squared distances of activations from their remapped values, weighted over the layers.

        sum_l w_l / d_l sum_ij (F_ij - R(F)_ij)^2, averaged over the styles by their weights

    R(F) is F with each channel remapped to the style's histogram; it counts as a constant when the
    loss is differentiated. The paper remaps with binned histograms. Here the match is exact: the
    k-th smallest activation becomes the style's k-th smallest, interpolated linearly between
    images of different sizes; equal activations are ranked by their positions. This is the sliced
    Wasserstein loss with the channels' axes as its directions.

    d_l is sum_ij R(F)_ij^2, which depends on the style and the size alone and makes the loss
    independent of the size, the layer's and the network's units: an image without any activation
    has a loss of 1.

    Any real activations; summed over the batch.
    """

    reads = frozenset({"styles"})

    def __init__(self, arguments: LossTermArguments[NoOptions]) -> None:
        self.layers = tuple(arguments.layers)
        self._weights = dict(arguments.layers)

    def bind(self, references: References) -> Loss:
        """Sort the styles' activations, and return the loss."""
        import torch

        targets = {
            layer: [(quantiles(style.features[layer]), style.weight) for style in references.styles]
            for layer in self.layers
        }

        def loss(features: Features) -> Tensor:
            losses = []
            for layer, weight in self._weights.items():
                rows = features[layer].flatten(2)
                order = rows.detach().argsort(dim=2, stable=True)
                for style_quantiles, style_weight in targets[layer]:
                    target = resampled(style_quantiles, rows.shape[2])
                    remapped = torch.empty_like(rows).scatter_(2, order, target.expand_as(rows))
                    divisor = target.square().sum().clamp_min(TINY)
                    squared = (rows - remapped).square().sum()
                    losses.append(style_weight * weight * squared / divisor)
            return torch.stack(losses).sum()

        return loss


def quantiles(features: Tensor) -> Tensor:
    """Sort each channel's activations in ascending order: (N, C, H, W) -> (N, C, H * W)."""
    return features.flatten(2).sort(dim=2).values


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `histogram`."""
    yield LossTermSpec(
        name="histogram",
        summary="activations remapped to the style's histograms (Risser et al. 2017)",
        create=HistogramLoss,
        options=NoOptions,
        layers_from="style",
    )
