"""Laplacian loss: the content's edges.

Li, Xu, Nie and Chua 2017, "Laplacian-Steered Neural Style Transfer".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermSpec
from ...core.interfaces.terms import IMAGE_LAYER, Loss, LossTerm, References
from ..hookspecs import hookimpl

if TYPE_CHECKING:
    from torch import Tensor


class LaplacianOptions(BaseModel):
    """Options of the term `laplacian`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pools: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(4, 16),
        min_length=1,
        description="sides in pixels of the squares that are averaged first: the details to keep",
    )


class LaplacianLoss(LossTerm):
    """sum_p 1 / M_p sum_k (D_p(x)_k - D_p(c)_k)^2, with x the result and c the content image.

    D_p averages squares of p x p pixels, takes the Laplacian of each color (four times a place less
    its four neighbours) and adds the colors up; M_p is the number of the squares. The content's
    edges are kept, while their colors and what is finer than p may change.

    On pixels (N, 3, H, W) in [0, 1]; summed over the batch. The authors' code has a weight for each
    size, and 4 alone by default; here 16 is added, with the same weight, for the large shapes.
    Their code leaves out the border; here it is repeated, and squares that are cut by it are
    averaged over what they have, so that small images do as well; where the picture wraps, what
    lies beyond the border is the opposite edge. It reads the whole image at once,
    which needs no network and little memory.
    """

    layers = (IMAGE_LAYER,)
    reads = frozenset({"content"})

    def __init__(self, layers: Mapping[str, float], options: LaplacianOptions) -> None:
        self._pools = options.pools

    def bind(self, references: References) -> Loss:
        """The targets are the content's Laplacians."""
        import torch

        content, border = references.content, "circular" if references.wraps else "replicate"
        targets = [pooled_laplacian(content[IMAGE_LAYER], pool, border) for pool in self._pools]

        def loss(features: Features) -> Tensor:
            image = features[IMAGE_LAYER]
            return torch.stack(
                [
                    (pooled_laplacian(image, pool, border) - target).square().sum()
                    / target[0].numel()
                    for pool, target in zip(self._pools, targets, strict=True)
                ]
            ).sum()

        return loss


def pooled_laplacian(image: Tensor, pool: int, border: str = "replicate") -> Tensor:
    """(N, 3, H, W) -> (N, 1, ceil(H / pool), ceil(W / pool)); `border` is a mode of padding."""
    from torch.nn import functional

    # Everything here is linear: adding the colors up first is the same and cheaper.
    pooled = functional.avg_pool2d(image.sum(1, keepdim=True), pool, ceil_mode=True)
    framed = functional.pad(pooled, (1, 1, 1, 1), mode=border)
    vertical = framed[:, :, :-2, 1:-1] + framed[:, :, 2:, 1:-1]
    horizontal = framed[:, :, 1:-1, :-2] + framed[:, :, 1:-1, 2:]
    return 4 * pooled - vertical - horizontal


@hookimpl
def stylectl_loss_terms() -> Iterable[LossTermSpec]:
    """The term `laplacian`."""
    yield LossTermSpec(
        name="laplacian",
        summary="differences of the pooled image's Laplacian (Li, Xu et al. 2017)",
        create=LaplacianLoss,
        options=LaplacianOptions,
        layers_from="image",
    )
