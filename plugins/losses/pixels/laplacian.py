"""Laplacian loss: differences from the edges of the content image.

Li, Xu, Nie and Chua 2017, "Laplacian-Steered Neural Style Transfer".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ....core.interfaces.backend import Features
from ....core.interfaces.specs import LossTermArguments, LossTermSpec
from ....core.interfaces.terms import IMAGE_LAYER, Loss, LossTerm, References
from ... import hooks

if TYPE_CHECKING:
    from torch import Tensor


class LaplacianOptions(BaseModel):
    """Options of the loss term `laplacian`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pools: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(4, 16),
        min_length=1,
        description="sides in pixels of the squares that are averaged first: the details to keep",
    )


class LaplacianLoss(LossTerm):
    """Squared differences of the pooled Laplacians of result and content image.

        sum_p 1 / M_p sum_k (D_p(x)_k - D_p(c)_k)^2, with x the result and c the content image

    D_p averages squares of p x p pixels, takes the Laplacian of each color (four times a square
    less its four neighbors) and adds the colors up; M_p is the number of the squares. The content's
    edges are kept, while their colors and details finer than p may change.

    On pixels (N, 3, H, W) in [0, 1]; summed over the batch. The authors' code has a weight for each
    size, and 4 alone by default; here 16 is added, with the same weight, for the large shapes.
    Their code leaves out the border; here the border is repeated, and squares that it cuts are
    averaged over the pixels inside, so that small images are supported. If the result wraps, the
    opposite edge continues it beyond the border. The loss reads the whole image at once, which
    needs no network and little memory.
    """

    layers = (IMAGE_LAYER,)
    reads = frozenset({"content"})

    def __init__(self, arguments: LossTermArguments[LaplacianOptions]) -> None:
        self._pools = arguments.options.pools

    def bind(self, references: References) -> Loss:
        """Compute the Laplacians of the content image, and return the loss."""
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
    """Compute the Laplacian of the pooled image, summed over the colors.

    (N, 3, H, W) -> (N, 1, ceil(H / pool), ceil(W / pool)); `border` is a padding mode of torch.
    """
    from torch.nn import functional

    # All steps are linear: adding the colors up first gives the same values and is cheaper.
    pooled = functional.avg_pool2d(image.sum(1, keepdim=True), pool, ceil_mode=True)
    padded = functional.pad(pooled, (1, 1, 1, 1), mode=border)
    vertical = padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1]
    horizontal = padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:]
    return 4 * pooled - vertical - horizontal


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `laplacian`."""
    yield LossTermSpec(
        name="laplacian",
        summary="differences of the pooled image's Laplacian (Li, Xu et al. 2017)",
        create=LaplacianLoss,
        options=LaplacianOptions,
        layers_from="image",
    )
