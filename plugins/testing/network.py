"""A network for tests: tiny, deterministic, without kinks, so that finite differences hold."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.backbone import Backbone, LayerInfo, Trunk


class TinyBackbone(Backbone):
    """Two convolutions with fixed random weights, neither rectifiers nor maxima: ``smooth1_1`` (4
    channels, stride 1) and ``smooth2_1`` (5 channels, stride 2)."""

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
        """See Backbone; in the type that the backbone was made with."""
        return _TinyTrunk(layers).to(self._dtype)


class _TinyTrunk(Trunk):
    def __init__(self, layers: Collection[str]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self._layers = tuple(layers)
        self._first = _convolution(3, 4, generator)
        self._second = _convolution(4, 5, generator)
        self.requires_grad_(False)

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        wanted = self._layers if layers is None else layers
        centred = (image - 0.5).to(self._first.weight.dtype)
        every = {"smooth1_1": functional.softplus(self._first(centred))}
        if "smooth2_1" in wanted:
            halved = functional.avg_pool2d(every["smooth1_1"], 2)
            every["smooth2_1"] = functional.softplus(self._second(halved))
        return {name: value for name, value in every.items() if name in wanted}


def _convolution(inputs: int, outputs: int, generator: torch.Generator) -> nn.Conv2d:
    made = nn.Conv2d(inputs, outputs, 3, padding=1, dtype=torch.float64)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / inputs**0.5)
    return made
