"""MRF loss: distances of the result's patches from the nearest patches of the style.

Li and Wand 2016, "Combining Markov Random Fields and Convolutional Neural Networks for Image
Synthesis".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermArguments, LossTermSpec
from ...core.interfaces.terms import Loss, LossTerm, References
from .. import hooks
from .statistics.sums import TINY

if TYPE_CHECKING:
    from torch import Tensor

#: Height and width of a patch, in positions; less where a layer of either image is smaller.
PATCH = 3


class MrfOptions(BaseModel):
    """Options of the loss term `mrf`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stride: int = Field(
        default=2, ge=1, le=PATCH, description="step between the result's patches, in positions"
    )
    style_stride: int = Field(
        default=2, ge=1, description="step between the style's patches, in positions"
    )
    chunk: int = Field(
        default=1024,
        ge=1,
        le=65536,
        description="patches of each image that are compared at a time; bounds the memory",
    )


class MrfLoss(LossTerm):
    """Squared distances of patches from the style's nearest patches, weighted over the layers.

        sum_l w_l / d_l sum_i |P_i(F) - P_nn(i)(S)|^2, averaged over the styles by their weights

    P_i(F) is the result's patch i: C x 3 x 3 activations. nn(i) is the patch of the style with the
    largest normalised cross-correlation (P_i(F) . P_j(S)) / (|P_i(F)| |P_j(S)|); it counts as a
    constant when the loss is differentiated.

    d_l is the number of the result's patches times the mean of |P_j(S)|^2, which makes the loss
    independent of the size and of the layer's and the network's units.

    Every patch is compared with every patch of the style: the time of an evaluation grows with the
    square of the number of positions, so that the first layers of a network (which the paper does
    not use) are slow. The strides of 2 are those of the authors' code. Memory is bounded: the
    comparison holds `chunk` patches of each image, and the rest grows with the features. If the
    result wraps, patches continue at the opposite edges.

    Any real activations; summed over the batch.
    """

    reads = frozenset({"styles"})

    def __init__(self, arguments: LossTermArguments[MrfOptions]) -> None:
        self.layers = tuple(arguments.layers)
        self._weights = dict(arguments.layers)
        self._options = arguments.options

    def bind(self, references: References) -> Loss:
        """Keep the styles' features, whose patches would take nine times the memory."""
        import torch

        styles, wraps = references.styles, references.wraps

        def loss(features: Features) -> Tensor:
            losses = []
            for layer, weight in self._weights.items():
                for style in styles:
                    for maps in features[layer]:
                        target = style.features[layer][0]
                        padded = _wrapped(maps, target) if wraps else maps
                        distance = self._distance(padded, target)
                        losses.append(style.weight * weight * distance)
            return torch.stack(losses).sum()

        return loss

    def _distance(self, maps: Tensor, style: Tensor) -> Tensor:
        """Compute a layer's loss for features (C, H, W) and (C, H', W') of the style.

        The sum of squared distances of a position from the n style patches that cover it is n times
        its squared distance from their mean, plus their spread around the mean, which is a
        constant. So autograd keeps one mean for each position instead of every patch.
        """
        import torch

        size = patch_size(maps, style)
        nearest = nearest_patches(maps.detach(), style, self._options)
        patches = windows(style, size, self._options.style_stride)
        mean, count = torch.zeros_like(maps), torch.zeros_like(maps[:1])
        means, counts = (windows(values, size, self._options.stride) for values in (mean, count))
        offsets = list(product(range(size[0]), range(size[1])))
        for y, x in offsets:
            means[..., y, x] += patches[..., y, x].flatten(1)[:, nearest]
            counts[..., y, x] += 1
        mean /= count.clamp_min(1)
        spread = squares = maps.new_zeros(())
        for y, x in offsets:
            chosen = patches[..., y, x].flatten(1)[:, nearest]
            spread = spread + (chosen - means[..., y, x]).square().sum()
            squares = squares + patches[..., y, x].square().sum()
        divisor = squares / patches[0, :, :, 0, 0].numel() * nearest.numel()
        return ((count * (maps - mean).square()).sum() + spread) / divisor.clamp_min(TINY)


def _wrapped(maps: Tensor, style: Tensor) -> Tensor:
    """Pad features at the bottom and right with the opposite edges, as far as patches reach."""
    from torch.nn import functional

    rows, columns = (
        min(PATCH - 1, side, style_side - 1)
        for side, style_side in zip(maps.shape[1:], style.shape[1:], strict=True)
    )
    return functional.pad(maps[None], (0, columns, 0, rows), mode="circular")[0]


def patch_size(maps: Tensor, style: Tensor) -> tuple[int, int]:
    """Height and width of the patches of features (C, H, W) and (C, H', W')."""
    return min(PATCH, maps.shape[1], style.shape[1]), min(PATCH, maps.shape[2], style.shape[2])


def windows(features: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """Patches of (C, H, W): (C, rows, columns, *size), a view that takes no memory."""
    return features.unfold(1, size[0], stride).unfold(2, size[1], stride)


def nearest_patches(maps: Tensor, style: Tensor, options: MrfOptions) -> Tensor:
    """Indices (rows, columns) of the style's nearest patch, for each patch of `maps`."""
    import torch

    size = patch_size(maps, style)
    map_patches = windows(maps, size, options.stride)
    style_patches = windows(style, size, options.style_stride)
    nearest = []
    for patches, _ in _chunks(map_patches, options.chunk):
        best = patches.new_full((len(patches),), -math.inf)
        best_index = torch.zeros(len(patches), dtype=torch.long, device=patches.device)
        for candidates, first in _chunks(style_patches, options.chunk):
            # Dividing by the norm of the result's patch would not change the order of candidates.
            norms = candidates.norm(dim=1).clamp_min(TINY)
            similarity, index = ((patches @ candidates.T) / norms).max(dim=1)
            better = similarity > best
            best = torch.where(better, similarity, best)
            best_index = torch.where(better, index + first, best_index)
        nearest.append(best_index)
    return torch.cat(nearest).view(map_patches.shape[1:3])


def _chunks(patches: Tensor, chunk: int) -> Iterator[tuple[Tensor, int]]:
    """Yield at most `chunk` patches at a time, each as a row, and the index of the first."""
    import torch

    columns = patches.shape[2]
    indices = torch.arange(patches.shape[1] * columns, device=patches.device)
    for part in torch.split(indices, chunk):
        chosen = patches[:, part // columns, part % columns]
        yield chosen.transpose(0, 1).flatten(1), int(part[0])


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `mrf`."""
    yield LossTermSpec(
        name="mrf",
        summary="distance of each patch from the style's nearest (Li and Wand 2016)",
        create=MrfLoss,
        options=MrfOptions,
        layers_from="style",
        least_stride=4,
    )
