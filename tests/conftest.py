from __future__ import annotations

from collections.abc import Collection

import pytest
import torch
from stylectl.core.backbone import Backbone, LayerInfo, Trunk
from stylectl.core.backend import FeatureBackend, Features, Pullback
from torch import Tensor, nn
from torch.nn import functional

# Neither rectifiers nor max pooling: finite differences need a function without kinks.


class SmoothTrunk(Trunk):
    def __init__(self, layers: Collection[str]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.layers = tuple(layers)
        self.first = self.convolution(3, 4, generator)
        self.second = self.convolution(4, 5, generator)

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        first = functional.softplus(self.first(image - 0.5))
        second = functional.softplus(self.second(functional.avg_pool2d(first, 2)))
        wanted = self.layers if layers is None else layers
        every = {"smooth1_1": first, "smooth2_1": second}
        return {name: value for name, value in every.items() if name in wanted}

    @staticmethod
    def convolution(inputs: int, outputs: int, generator: torch.Generator) -> nn.Conv2d:
        made = nn.Conv2d(inputs, outputs, 3, padding=1, dtype=torch.float64)
        for parameter in made.parameters():
            parameter.requires_grad_(False)
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / inputs**0.5)
        return made


class SmoothBackbone(Backbone):
    name = "smooth"
    layers = (
        LayerInfo("smooth1_1", channels=4, stride=1, receptive_field=3),
        LayerInfo("smooth2_1", channels=5, stride=2, receptive_field=8),
    )
    aliases = {"conv1_1": "smooth1_1", "conv2_1": "smooth2_1"}  # noqa: RUF012
    default_content_layers = {"smooth2_1": 1.0}  # noqa: RUF012
    default_style_layers = {"smooth1_1": 0.5, "smooth2_1": 0.5}  # noqa: RUF012

    def trunk(self, layers: Collection[str]) -> Trunk:
        return SmoothTrunk(layers)


class PlainBackend(FeatureBackend):
    def __init__(self, backbone: Backbone) -> None:
        self.layers = tuple(info.name for info in backbone.layers)
        self.device = torch.device("cpu")
        self.trunk = backbone.trunk(self.layers)

    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        with torch.no_grad():
            made: dict[str, Tensor] = self.trunk(image, layers)
            return made

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        leaf = image.detach().requires_grad_()
        features: dict[str, Tensor] = self.trunk(leaf)

        def pullback(cotangents: Features) -> Tensor:
            if not cotangents:
                return torch.zeros_like(image)
            outputs = [features[name] for name in cotangents]
            (gradient,) = torch.autograd.grad(outputs, leaf, list(cotangents.values()))
            return gradient

        return {name: value.detach() for name, value in features.items()}, pullback


@pytest.fixture
def smooth_backbone() -> Backbone:
    """A tiny network in float64, without kinks."""
    return SmoothBackbone()


@pytest.fixture
def smooth_backend(smooth_backbone: Backbone) -> FeatureBackend:
    """torch.autograd on the tiny network, in float64 throughout."""
    return PlainBackend(smooth_backbone)


@pytest.fixture
def generator() -> torch.Generator:
    """Random numbers that are the same in each run."""
    return torch.Generator().manual_seed(1)
