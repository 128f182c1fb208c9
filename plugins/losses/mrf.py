"""MRF loss: each patch near one of the style's.

Li and Wand 2016, "Combining Markov Random Fields and Convolutional Neural Networks for Image
Synthesis".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermSpec
from ...core.interfaces.terms import Loss, LossTerm, References
from ..hookspecs import hookimpl
from .statistics.sums import TINY

if TYPE_CHECKING:
    from torch import Tensor

#: Patches are this high and wide; less where a layer of either image is smaller.
PATCH = 3


class MrfOptions(BaseModel):
    """Options of the term `mrf`."""

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
        description="patches of each image that are compared at a time: bounds the memory",
    )


class MrfLoss(LossTerm):
    """sum_l w_l / d_l sum_i |P_i(F) - P_nn(i)(S)|^2, averaged over the styles by their shares.

    P_i(F) is the result's patch i: C x 3 x 3 activations. nn(i) is the patch of the style with the
    largest normalised cross-correlation (P_i(F) . P_j(S)) / (|P_i(F)| |P_j(S)|); it counts as a
    constant when the loss is differentiated.

    d_l is the number of the result's patches times the mean of |P_j(S)|^2, which makes the loss
    independent of the size and of the layer's and the network's units.

    Every patch is compared with every other: an evaluation takes time with the square of the number
    of positions, so that the first layers of a network (which the paper does not use) are slow. The
    strides of 2 are those of the authors' code. Memory is bounded: the comparison holds `chunk`
    patches of each image, and the rest grows with the features. Where the picture wraps, patches go
    on at the opposite edges. Any real activations; summed over
    the batch.
    """

    reads = frozenset({"styles"})

    def __init__(self, layers: Mapping[str, float], options: MrfOptions) -> None:
        self.layers = tuple(layers)
        self._weights = dict(layers)
        self._options = options

    def bind(self, references: References) -> Loss:
        """Keeps the styles' features: their patches would take nine times the memory."""
        import torch

        styles, wraps = references.styles, references.wraps

        def loss(features: Features) -> Tensor:
            shares = []
            for layer, weight in self._weights.items():
                for style in styles:
                    for image in features[layer]:
                        target = style.features[layer][0]
                        own = _ring(image, target) if wraps else image
                        distance = self._distance(own, target)
                        shares.append(style.weight * weight * distance)
            return torch.stack(shares).sum()

        return loss

    def _distance(self, own: Tensor, style: Tensor) -> Tensor:
        """The layer's loss for features (C, H, W) and (C, H', W').

        The squared distances of a position from the patches that were chosen to cover it are their
        number times that from the patches' mean, plus their spread around it, which is a constant:
        so autograd has to keep one mean for each position instead of every patch.
        """
        import torch

        size = patch_size(own, style)
        nearest = nearest_patches(own.detach(), style, self._options)
        patches = windows(style, size, self._options.style_stride)
        mean, count = torch.zeros_like(own), torch.zeros_like(own[:1])
        means, counts = (windows(each, size, self._options.stride) for each in (mean, count))
        offsets = list(product(range(size[0]), range(size[1])))
        for y, x in offsets:
            means[..., y, x] += patches[..., y, x].flatten(1)[:, nearest]
            counts[..., y, x] += 1
        mean /= count.clamp_min(1)
        spread = squares = own.new_zeros(())
        for y, x in offsets:
            chosen = patches[..., y, x].flatten(1)[:, nearest]
            spread = spread + (chosen - means[..., y, x]).square().sum()
            squares = squares + patches[..., y, x].square().sum()
        divisor = squares / patches[0, :, :, 0, 0].numel() * nearest.numel()
        return ((count * (own - mean).square()).sum() + spread) / divisor.clamp_min(TINY)


def _ring(own: Tensor, style: Tensor) -> Tensor:
    """The features with as much of the opposite edge after each end as a patch reaches over it."""
    from torch.nn import functional

    rows, columns = (
        min(PATCH - 1, of_own, of_style - 1)
        for of_own, of_style in zip(own.shape[1:], style.shape[1:], strict=True)
    )
    return functional.pad(own[None], (0, columns, 0, rows), mode="circular")[0]


def patch_size(own: Tensor, style: Tensor) -> tuple[int, int]:
    """Height and width of the patches of features (C, H, W) and (C, H', W')."""
    return min(PATCH, own.shape[1], style.shape[1]), min(PATCH, own.shape[2], style.shape[2])


def windows(features: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """The patches of (C, H, W): (C, rows, columns, *size), a view that takes no memory."""
    return features.unfold(1, size[0], stride).unfold(2, size[1], stride)


def nearest_patches(own: Tensor, style: Tensor, options: MrfOptions) -> Tensor:
    """For each patch of `own`, its place among the patches of `style`: (rows, columns)."""
    import torch

    size = patch_size(own, style)
    own_patches = windows(own, size, options.stride)
    style_patches = windows(style, size, options.style_stride)
    nearest = []
    for rows, _ in _chunks(own_patches, options.chunk):
        best = rows.new_full((len(rows),), -math.inf)
        place = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
        for candidates, first in _chunks(style_patches, options.chunk):
            # The own patch's norm is the same for all candidates.
            norms = candidates.norm(dim=1).clamp_min(TINY)
            similarity, index = ((rows @ candidates.T) / norms).max(dim=1)
            better = similarity > best
            best = torch.where(better, similarity, best)
            place = torch.where(better, index + first, place)
        nearest.append(place)
    return torch.cat(nearest).view(own_patches.shape[1:3])


def _chunks(patches: Tensor, chunk: int) -> Iterator[tuple[Tensor, int]]:
    """At most `chunk` patches at a time, each a row; with the place of the first."""
    import torch

    columns = patches.shape[2]
    every = torch.arange(patches.shape[1] * columns, device=patches.device)
    for places in torch.split(every, chunk):
        chosen = patches[:, places // columns, places % columns]
        yield chosen.transpose(0, 1).flatten(1), int(places[0])


@hookimpl
def stylectl_loss_terms() -> Iterable[LossTermSpec]:
    """The term `mrf`."""
    yield LossTermSpec(
        name="mrf",
        summary="distance of each patch from the style's nearest (Li and Wand 2016)",
        create=MrfLoss,
        options=MrfOptions,
        layers_from="style",
        least_stride=4,
    )
