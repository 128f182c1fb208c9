"""Backbones: frozen convolutional networks with named layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from .trunk import Trunk


@dataclass(frozen=True)
class LayerInfo:
    """What is known of a layer without running the network.

    All but `channels` are in image pixels, in each direction: one position of the layer's map
    stands for `stride` of them and sees `receptive_field` of them (None: the whole image), and the
    image must have `smallest_side` of them (by default the stride) to leave the layer a position.
    """

    name: str
    channels: int
    stride: int
    receptive_field: int | None
    smallest_side: int = 0

    def __post_init__(self) -> None:
        if self.smallest_side == 0:
            object.__setattr__(self, "smallest_side", self.stride)


class Backbone(ABC):
    """A frozen CNN: named layers, preprocessing, weights, a torch module.

    Creating one is cheap; weights are read when `trunk` is called.
    """

    name: str
    #: In order of depth.
    layers: tuple[LayerInfo, ...]
    #: Other names for a layer, such as the papers' ``conv4_2`` for ``relu4_2``.
    aliases: Mapping[str, str]
    #: Layer -> its share, for the terms that name none.
    default_content_layers: Mapping[str, float]
    default_style_layers: Mapping[str, float]
    #: Whether it sees an image, whose sides are multiples of every layer's stride, as if it went on
    #: at the opposite edges: rolled around by such multiples, the image gives rolled features.
    wraps: bool = False

    @abstractmethod
    def trunk(self, layers: Collection[str]) -> Trunk:
        """A float32 module, without gradients for its weights, that gives exactly `layers`.

        Raises WeightsError when the weights cannot be used.
        """

    def onnx_model(self, layers: Collection[str]) -> bytes | None:
        """What a backbone gives that is an ONNX model itself, instead of a trunk: serialized, from
        `image` (N, 3, H, W), float32, RGB in [0, 1], to outputs called like `layers`, float32.

        None: the trunk is what there is. Raises WeightsError and UsageError.
        """
        return None

    def canonical(self, layer: str) -> str:
        """The layer's own name for a name or an alias. Raises UsageError for an unknown one."""
        name = self.aliases.get(layer, layer)
        if any(info.name == name for info in self.layers):
            return name
        known = [info.name for info in self.layers]
        near = did_you_mean(layer, [*known, *self.aliases])
        raise UsageError(f"unknown layer {layer!r} of the backbone {self.name}; {near}")

    def deepest(self, layers: Collection[str]) -> LayerInfo:
        """The one of `layers` (at least one, canonical names) that lies deepest in the network."""
        return [info for info in self.layers if info.name in layers][-1]
