"""Trunks: the torch modules that a backbone gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence

import torch
from torch import Tensor, nn


class Trunk(nn.Module, ABC):
    """A backbone up to the deepest of the layers that it was asked for, preprocessing inside."""

    @abstractmethod
    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """Activations (N, C, H, W) by layer, of an RGB image (N, 3, H, W), sRGB-encoded in [0, 1].

        `layers` may ask for fewer than the trunk was made for; it is then evaluated no deeper than
        they need. The activations have the type of the trunk's weights.
        """


class ChainTrunk(Trunk):
    """A trunk without branches, which a backend can run and differentiate step by step:
    preprocessing and a chain of modules, some of whose outputs are layers.

    `steps` are (name, module) in order; a step whose output is no layer has the name "". The input
    is normalised first: (image - mean) / scale, per channel of an RGB image in [0, 1].
    """

    def __init__(
        self,
        steps: Iterable[tuple[str, nn.Module]],
        mean: Sequence[float],
        scale: Sequence[float],
    ) -> None:
        super().__init__()
        named = list(steps)
        self.names = tuple(name for name, _ in named)
        self.layers = tuple(name for name in self.names if name)
        self.steps = nn.ModuleList(module for _, module in named)
        self.mean, self.scale = tuple(mean), tuple(scale)
        self.requires_grad_(False)

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """See Trunk."""
        wanted = self.layers if layers is None else layers
        x = self.normalize(image)
        activations = {}
        for name, step in self.upto(wanted):
            x = step(x)
            if name in wanted:
                activations[name] = x
        return activations

    def normalize(self, image: Tensor) -> Tensor:
        """The image as the first step expects it, in the type of the weights."""
        mean, scale = _per_channel(self.mean, image), _per_channel(self.scale, image)
        return ((image - mean) / scale).to(self._dtype)

    def normalize_vjp(self, gradient: Tensor, dtype: torch.dtype) -> Tensor:
        """From the gradient at what `normalize` gives to that at an image of the type `dtype`."""
        gradient = gradient.to(dtype)
        return gradient / _per_channel(self.scale, gradient)

    def upto(self, layers: Collection[str]) -> list[tuple[str, nn.Module]]:
        """The named steps up to the deepest of `layers` (at least one)."""
        end = 1 + max(self.names.index(layer) for layer in layers)
        return list(zip(self.names, self.steps, strict=True))[:end]

    @property
    def _dtype(self) -> torch.dtype:
        return next((weight.dtype for weight in self.parameters()), torch.float32)


def _per_channel(values: Sequence[float], like: Tensor) -> Tensor:
    """(1, C, 1, 1), made on the device: copying from the host would wait for it."""
    return torch.stack([like.new_full((), value) for value in values]).view(1, -1, 1, 1)
