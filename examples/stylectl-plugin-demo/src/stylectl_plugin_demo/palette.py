"""A loss term for a result in a few colors of the style image."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field
from stylectl import (
    IMAGE_LAYER,
    Features,
    Loss,
    LossTerm,
    LossTermArguments,
    LossTermSpec,
    References,
    hooks,
)

if TYPE_CHECKING:
    from torch import Tensor


class PaletteOptions(BaseModel):
    """Options of the term; `stylectl list terms` shows them with their ranges."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    colors: int = Field(default=8, ge=1, le=64, description="of each style image")
    softness: float = Field(
        default=0.01, gt=0, description="squared distance within which two colors mingle"
    )


class PaletteLoss(LossTerm):
    """Mean soft minimum of the pixels' squared distances to the style image's main colors.

    For a pixel x and K colors c_k it is -T log 1/K sum_k exp(-|x - c_k|^2 / T), with the softness
    T; it is averaged over the pixels and, with their weights, over the style images.

    It reads the pixels alone, (N, 3, H, W) in [0, 1], and requires no layer of the network.
    """

    layers = (IMAGE_LAYER,)
    reads = frozenset({"styles"})

    def __init__(self, arguments: LossTermArguments[PaletteOptions]) -> None:
        self._options = arguments.options

    def bind(self, references: References) -> Loss:
        """Find the style images' colors, once for each scale, and return the loss."""
        import torch

        palettes = [
            (self._palette(style.features[IMAGE_LAYER]), style.weight)
            for style in references.styles
        ]

        def loss(features: Features) -> Tensor:
            pixels = features[IMAGE_LAYER].movedim(1, -1).reshape(-1, 1, 3)
            distances = [weight * self._distance(pixels, colors) for colors, weight in palettes]
            return torch.stack(distances).sum()

        return loss

    def _palette(self, image: Tensor) -> Tensor:
        import torch

        from .colors import main_colors

        pixels = image[0].permute(1, 2, 0).cpu().numpy()
        return torch.as_tensor(main_colors(pixels, self._options.colors)).to(image)

    def _distance(self, pixels: Tensor, colors: Tensor) -> Tensor:
        """Return the mean soft squared distance of pixels (M, 1, 3) from colors (K, 3)."""
        softness = self._options.softness
        squared = (pixels - colors).square().sum(2)
        exponents = (-squared / softness).logsumexp(1)
        return (-softness * (exponents - math.log(len(colors)))).mean()


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[PaletteOptions]]:
    """Return the loss term `demo-palette`."""
    yield LossTermSpec(
        name="demo-palette",
        summary="every pixel near one of a few colors of the style image",
        create=PaletteLoss,
        options=PaletteOptions,
        layers_from="image",
    )
