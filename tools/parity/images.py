"""Fixed images for comparing backends, which tend to show differences of runtimes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...core.images.decoding import read_image


@dataclass(frozen=True)
class ParityImage:
    """Fixed image with a name.

    `image` is (1, 3, H, W), float32 in [0, 1]. In a `flat` image neighbors are equal: the maxima of
    a pooling tie, so that its gradient may go to either, and both are right.
    """

    name: str
    image: Tensor
    flat: bool = False


def parity_images(smallest_side: int) -> tuple[ParityImage, ...]:
    """Return a photograph in two sizes, one of them odd, noise, black, and a flat color.

    Each side has at least `smallest_side` pixels, which the deepest layer needs.
    """
    photo = read_image("sample:photo")

    def sides(height: int, width: int) -> tuple[int, int]:
        return max(height, smallest_side), max(width, smallest_side)

    return (
        ParityImage("photo", photo.tensor(*sides(32, 48))),
        ParityImage("odd photo", photo.tensor(*sides(37, 53))),
        ParityImage("noise", noise(*sides(24, 33), seed=1)),
        ParityImage("black", torch.zeros(1, 3, *sides(32, 32)), flat=True),
        ParityImage("flat color", _flat(*sides(33, 25)), flat=True),
    )


def noise(height: int, width: int, seed: int) -> Tensor:
    """Return noise (1, 3, height, width), uniform in [0, 1), the same on every machine."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator)


def _flat(height: int, width: int) -> Tensor:
    color = torch.tensor([0.8, 0.35, 0.1]).view(1, 3, 1, 1)
    return color.expand(-1, -1, height, width).contiguous()
