"""A loss term: the picture in a few colors of the painting."""

import math
from collections.abc import Mapping

import torch
from pydantic import BaseModel, ConfigDict, Field
from stylectl import IMAGE_LAYER, Features, Loss, LossTerm, References
from torch import Tensor

from .colors import main_colors


class PaletteOptions(BaseModel):
    """Options of the term; `stylectl list terms` shows them with their ranges."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    colors: int = Field(default=8, ge=1, le=64, description="of each painting")
    softness: float = Field(
        default=0.01, gt=0, description="squared distance within which two colors mingle"
    )


class PaletteLoss(LossTerm):
    """The mean over the pixels of -T log 1/K sum_k exp(-|x - c_k|^2 / T): a soft minimum of the
    squared distances to K colors c_k, with the softness T; averaged over the paintings.

    It looks at the pixels alone, (N, 3, H, W) in [0, 1], and needs no layer of the network.
    """

    layers = (IMAGE_LAYER,)
    reads = frozenset({"styles"})

    def __init__(self, layers: Mapping[str, float], options: PaletteOptions) -> None:
        self._options = options

    def bind(self, references: References) -> Loss:
        """Finds the paintings' colors, once for each scale of the picture."""
        palettes = [
            (self._palette(style.features[IMAGE_LAYER]), style.weight)
            for style in references.styles
        ]

        def loss(features: Features) -> Tensor:
            pixels = features[IMAGE_LAYER].movedim(1, -1).reshape(-1, 1, 3)
            shares = [weight * self._distance(pixels, colors) for colors, weight in palettes]
            return torch.stack(shares).sum()

        return loss

    def _palette(self, image: Tensor) -> Tensor:
        pixels = image[0].permute(1, 2, 0).cpu().numpy()
        return torch.as_tensor(main_colors(pixels, self._options.colors)).to(image)

    def _distance(self, pixels: Tensor, colors: Tensor) -> Tensor:
        """Of pixels (M, 1, 3) from colors (K, 3)."""
        softness = self._options.softness
        squared = (pixels - colors).square().sum(2)
        soft_minimum = -softness * (torch.logsumexp(-squared / softness, 1) - math.log(len(colors)))
        return soft_minimum.mean()
