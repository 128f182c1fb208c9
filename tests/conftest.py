from __future__ import annotations

import os
from collections.abc import Collection

import pytest
import torch
from stylectl.core.interfaces.backbone import Backbone
from stylectl.core.interfaces.backend import FeatureBackend, Features, Pullback
from stylectl.testing import TinyBackbone
from torch import Tensor

# Some tests import ONNX Runtime themselves; stylectl switches its telemetry off as well.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


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
    return TinyBackbone(torch.float64)


@pytest.fixture
def smooth_backend(smooth_backbone: Backbone) -> FeatureBackend:
    """torch.autograd on the tiny network, in float64 throughout."""
    return PlainBackend(smooth_backbone)


@pytest.fixture
def generator() -> torch.Generator:
    """Random numbers that are the same in each run."""
    return torch.Generator().manual_seed(1)
