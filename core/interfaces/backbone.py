"""Backbones: frozen convolutional networks with named layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from .trunk import Trunk


@dataclass(frozen=True)
class LayerInfo:
    """Name, channels and geometry of a layer, as known without running the network.

    The other fields than `channels` are in image pixels, in each direction: neighboring positions
    of the layer's map are `stride` pixels apart, and each depends on `receptive_field` pixels
    (None: the whole image). The image must have at least `smallest_side` pixels (by default the
    stride) for the layer to have a position. Where a network enlarges its maps, positions may be
    a fraction apart, `exact_stride`; `stride` is then rounded up.
    """

    name: str
    channels: int
    stride: int
    receptive_field: int | None
    smallest_side: int = 0
    exact_stride: Fraction | None = None

    def __post_init__(self) -> None:
        if self.smallest_side == 0:
            object.__setattr__(self, "smallest_side", self.stride)

    @property
    def positions_per_pixel(self) -> float:
        """Number of the map's positions for each pixel of the image."""
        return float(self.exact_stride or self.stride) ** -2


class Backbone(ABC):
    """A frozen CNN: named layers, preprocessing, weights, a torch module.

    Creating a backbone is cheap; weights are read when `trunk` is called.
    """

    name: str
    #: In order of depth.
    layers: tuple[LayerInfo, ...]
    #: Other names for a layer, such as the papers' ``conv4_2`` for ``relu4_2``.
    aliases: Mapping[str, str]
    #: Layer -> its weight, for terms whose job names no layers.
    default_content_layers: Mapping[str, float]
    default_style_layers: Mapping[str, float]
    #: Values of the network that are no layers -> why each of them cannot be used.
    unusable: Mapping[str, str] = MappingProxyType({})
    #: Whether an image whose sides are multiples of every layer's stride is continued at its
    #: opposite edges: rolling the image by such multiples rolls its features.
    wraps: bool = False
    #: Where the weights come from, and their license, in words, for the card of an exported model;
    #: "": unknown.
    source: str = ""
    license: str = ""

    @abstractmethod
    def trunk(self, layers: Collection[str]) -> Trunk:
        """Return a float32 module with frozen weights that computes exactly `layers`.

        Raises WeightsError when the weights cannot be used.
        """

    def onnx_model(self, layers: Collection[str]) -> bytes | None:
        """Return the serialized ONNX model of a backbone that is one itself; None for any other.

        It is used instead of the trunk. Its input is `image` (N, 3, H, W), float32, RGB in [0, 1];
        its outputs are named like `layers`, float32. Raises WeightsError and UsageError.
        """
        return None

    @property
    def files(self) -> Sequence[str]:
        """Paths of files that weights are read from, beside those that options name.

        Their hashes are in a result's record: one that was replaced makes another result.
        """
        return ()

    @property
    def published(self) -> Mapping[str, str]:
        """Published files of weights, by address, with the first digits of their SHA-256.

        They are in a result's record as well. The digits are checked whenever the file is read.
        """
        return {}

    def canonical(self, layer: str) -> str:
        """Return the layer's own name for a name or an alias. Raises UsageError for others."""
        name = self.aliases.get(layer, layer)
        if any(info.name == name for info in self.layers):
            return name
        if name in self.unusable:
            raise UsageError(
                f"{name!r} of the backbone {self.name} cannot be a layer: {self.unusable[name]}"
            )
        known = [info.name for info in self.layers]
        near = did_you_mean(layer, [*known, *self.aliases])
        raise UsageError(f"unknown layer {layer!r} of the backbone {self.name}; {near}")

    def deepest(self, layers: Collection[str]) -> LayerInfo:
        """Return the deepest of `layers` (at least one, canonical names) in the network."""
        return [info for info in self.layers if info.name in layers][-1]
