"""Tiny, deterministic networks for tests.

One has no kinks, so that finite differences hold; the other has them, like real networks.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.interfaces.backbone import Backbone, LayerInfo
from ...core.interfaces.trunk import ChainTrunk, Trunk


class TinyBackbone(Backbone):
    """Two convolutions with fixed random weights, without rectifiers or maxima.

    The layers are ``smooth1_1`` (4 channels, stride 1) and ``smooth2_1`` (5 channels, stride 2).
    """

    name = "tiny"
    layers: tuple[LayerInfo, ...] = (
        LayerInfo("smooth1_1", channels=4, stride=1, receptive_field=3),
        LayerInfo("smooth2_1", channels=5, stride=2, receptive_field=8),
    )
    aliases = {"conv1_1": "smooth1_1", "conv2_1": "smooth2_1"}  # noqa: RUF012
    default_content_layers = {"smooth2_1": 1.0}  # noqa: RUF012
    default_style_layers = {"smooth1_1": 0.5, "smooth2_1": 0.5}  # noqa: RUF012

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self._dtype = dtype

    def trunk(self, layers: Collection[str]) -> Trunk:
        """Return the trunk in the backbone's type. See Backbone.trunk."""
        return _TinyTrunk(layers).to(self._dtype)


class KinkedBackbone(Backbone):
    """Three convolutions with rectifiers, and a 2 x 2 maximum, with fixed random weights.

    It is a chain; the maximum comes before the last convolution. The layers are ``relu1_1`` and
    ``relu1_2``, of one shape (6 channels, stride 1), and ``relu2_1`` (8 channels, stride 2).
    """

    name = "kinked"
    layers: tuple[LayerInfo, ...] = (
        LayerInfo("relu1_1", channels=6, stride=1, receptive_field=3),
        LayerInfo("relu1_2", channels=6, stride=1, receptive_field=5),
        LayerInfo("relu2_1", channels=8, stride=2, receptive_field=10),
    )
    aliases = {"conv1_1": "relu1_1", "conv1_2": "relu1_2", "conv2_1": "relu2_1"}  # noqa: RUF012
    default_content_layers = {"relu2_1": 1.0}  # noqa: RUF012
    default_style_layers = {"relu1_1": 0.5, "relu2_1": 0.5}  # noqa: RUF012

    def trunk(self, layers: Collection[str]) -> Trunk:
        """See Backbone.trunk."""
        generator = torch.Generator().manual_seed(0)
        modules: list[tuple[str, nn.Module]] = [
            ("", _convolution(3, 6, generator)),
            ("relu1_1", nn.ReLU()),
            ("", _convolution(6, 6, generator)),
            ("relu1_2", nn.ReLU()),
            ("", nn.MaxPool2d(2)),
            ("", _convolution(6, 8, generator)),
            ("relu2_1", nn.ReLU()),
        ]
        end = 1 + max(index for index, (name, _) in enumerate(modules) if name in layers)
        steps = [(name if name in layers else "", step) for name, step in modules[:end]]
        return ChainTrunk(steps, mean=(0.5, 0.45, 0.4), scale=(0.25, 0.25, 0.25)).float()


class _TinyTrunk(Trunk):
    def __init__(self, layers: Collection[str]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self._layers = tuple(layers)
        self._first = _convolution(3, 4, generator)
        self._second = _convolution(4, 5, generator)
        self.requires_grad_(False)

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        requested = self._layers if layers is None else layers
        centred = (image - 0.5).to(self._first.weight.dtype)
        activations = {"smooth1_1": functional.softplus(self._first(centred))}
        if "smooth2_1" in requested:
            halved = functional.avg_pool2d(activations["smooth1_1"], 2)
            activations["smooth2_1"] = functional.softplus(self._second(halved))
        return {name: value for name, value in activations.items() if name in requested}


def _convolution(inputs: int, outputs: int, generator: torch.Generator) -> nn.Conv2d:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, dtype=torch.float64)
    with torch.no_grad():
        for parameter in convolution.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / inputs**0.5)
    return convolution
