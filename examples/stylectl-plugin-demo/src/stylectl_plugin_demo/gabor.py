"""The torch module of the filter bank."""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from stylectl import Trunk
from torch import Tensor, nn
from torch.nn import functional

from .filters import ORIENTATIONS, SIDE, FilterBank


class GaborPyramid(Trunk):
    """Filters at each size of the image; see FilterBank."""

    def __init__(self, layers: Collection[str]) -> None:
        super().__init__()
        self._layers = tuple(layers)
        self._blur = nn.Parameter(_blur(), requires_grad=False)
        self._gabor = nn.Parameter(_gabor(), requires_grad=False)

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """See Trunk.forward."""
        requested = self._layers if layers is None else layers
        names = [info.name for info in FilterBank.layers]
        image, activations = image.to(self._blur.dtype), {}
        for name in names[: 1 + max(names.index(layer) for layer in requested)]:
            if name != names[0]:
                image = functional.avg_pool2d(image, 2)
            if name in requested:
                activations[name] = self._bank(image)
        return activations

    def _bank(self, image: Tensor) -> Tensor:
        border = [SIDE // 2] * 4
        padded = functional.pad(image, border, mode="replicate")
        colors = functional.conv2d(padded, self._blur, groups=3)
        edges = functional.conv2d(padded, self._gabor, groups=3)
        return torch.cat([colors, functional.relu(edges), functional.relu(-edges)], 1)


def _blur() -> Tensor:
    """Return a Gaussian for each color: (3, 1, side, side)."""
    y, x = _grid()
    window = torch.exp(-(x**2 + y**2) / 4.5)
    return (window / window.sum()).expand(3, 1, -1, -1).clone()


def _gabor() -> Tensor:
    """Return the even and the odd phase of each orientation, for each color.

    The shape is (3 * 12, 1, side, side).
    """
    y, x = _grid()
    window = torch.exp(-(x**2 + y**2) / 4.5)
    kernels = []
    for number in range(ORIENTATIONS):
        angle = math.pi * number / ORIENTATIONS
        across = 1.6 * (x * math.cos(angle) + y * math.sin(angle))
        for wave in (torch.cos(across), torch.sin(across)):
            kernel = window * wave
            kernel = kernel - window * kernel.sum() / window.sum()  # zero for a constant color
            kernels.append(kernel / kernel.norm())
    return torch.stack(kernels)[:, None].repeat(3, 1, 1, 1)


def _grid() -> tuple[Tensor, Tensor]:
    side = torch.arange(SIDE) - SIDE // 2
    y, x = torch.meshgrid(side, side, indexing="ij")
    return y.float(), x.float()
