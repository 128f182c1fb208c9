"""Trunks: the torch modules of backbones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence

import torch
from torch import Tensor, nn


class Trunk(nn.Module, ABC):
    """A backbone's torch module up to the deepest of the requested layers, with preprocessing."""

    @abstractmethod
    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """Return the activations (N, C, H, W) of an image, by layer.

        `image` is (N, 3, H, W), RGB, sRGB-encoded in [0, 1]. `layers` may be fewer than the trunk
        was created for; it is then evaluated no deeper than they require. The activations have the
        type of the trunk's weights.
        """


class ChainTrunk(Trunk):
    """A trunk without branches: preprocessing, and a chain of modules.

    A backend can run and differentiate it step by step. The outputs of some modules are layers.
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
        """See Trunk.forward."""
        requested = self.layers if layers is None else layers
        x = self.normalize(image)
        activations = {}
        for name, step in self.upto(requested):
            x = step(x)
            if name in requested:
                activations[name] = x
        return activations

    def normalize(self, image: Tensor) -> Tensor:
        """Return the input of the first step, in the type of the weights."""
        mean, scale = _per_channel(self.mean, image), _per_channel(self.scale, image)
        return ((image - mean) / scale).to(self._dtype)

    def normalize_vjp(self, gradient: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the gradient at an image of type `dtype`, from the gradient at its normalisation.

        It is the vector-Jacobian product of `normalize`.
        """
        gradient = gradient.to(dtype)
        return gradient / _per_channel(self.scale, gradient)

    def upto(self, layers: Collection[str]) -> list[tuple[str, nn.Module]]:
        """Return the named steps up to the deepest of `layers` (at least one)."""
        end = 1 + max(self.names.index(layer) for layer in layers)
        return list(zip(self.names, self.steps, strict=True))[:end]

    @property
    def _dtype(self) -> torch.dtype:
        return next((weight.dtype for weight in self.parameters()), torch.float32)


def _per_channel(values: Sequence[float], like: Tensor) -> Tensor:
    """Return the values as (1, C, 1, 1), on the device of `like`.

    They are made there because a copy from the host would wait for the device.
    """
    return torch.stack([like.new_full((), value) for value in values]).view(1, -1, 1, 1)
