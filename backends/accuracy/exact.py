"""The reference for measuring backends: torch.autograd in float64, on the CPU."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from ...core.interfaces.backbone import Backbone
from ...core.interfaces.backend import FeatureBackend, Features, Pullback


class ExactBackend(FeatureBackend):
    """A backbone's torch module, unchanged, in float64.

    Unlike those of other backends, its features and gradients are float64, and its pullbacks may be
    called several times; images and cotangents may be float32 or float64. It is for measuring:
    slow, and without the checks of the contract.
    """

    def __init__(self, backbone: Backbone, layers: Sequence[str]) -> None:
        self.layers, self.device = tuple(layers), torch.device("cpu")
        self._trunk = backbone.trunk(self.layers).double()

    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        """See FeatureBackend.features."""
        with torch.no_grad():
            features: Features = self._trunk(image.cpu().double(), layers or self.layers)
        return features

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        """See FeatureBackend.vjp."""
        leaf = image.detach().cpu().double().requires_grad_()
        with torch.enable_grad():
            activations: dict[str, Tensor] = self._trunk(leaf)

        def pullback(cotangents: Features) -> Tensor:
            outputs = [activations[name] for name in cotangents]
            doubles = [value.cpu().double() for value in cotangents.values()]
            if not outputs:
                return torch.zeros_like(leaf)
            (gradient,) = torch.autograd.grad(outputs, leaf, doubles, retain_graph=True)
            return gradient

        return {name: value.detach() for name, value in activations.items()}, pullback
