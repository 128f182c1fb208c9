"""Motifs: one number for the weight of the deep style layers, from strokes alone to objects.

A layer represents what its receptive field holds: strokes and colors, or whole objects of the
style image. Results of all sizes begin at the same size (core/sizes/pyramid.py), where objects
form. So a layer's receptive field in pixels says what it contributes, at every size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import log

from ...interfaces.backbone import Backbone, LayerInfo
from ...sizes.pyramid import FIRST_LONG_SIDE

#: Receptive field in pixels up to which a layer represents strokes and colors alone.
STROKE = 32
#: Receptive field from which it represents whole objects: that of the first scale's long side.
OBJECT = FIRST_LONG_SIDE
#: 0.5 leaves about a sixth of the weight of a layer that represents objects.
_POWER = 2.5
#: Receptive field in strides of a layer of which each position depends on the whole image, as it
#: does beyond a gate that averages over all positions. What is near counts most there too, as far
#: as in VGG's deepest default layer.
_STRIDES = 10


def depth(layer: LayerInfo) -> float:
    """Return how far a layer represents objects, from 0 (strokes and colors alone) to 1."""
    receptive_field = layer.receptive_field or _STRIDES * layer.stride
    return min(max(log(receptive_field / STROKE) / log(OBJECT / STROKE), 0.0), 1.0)


def factor(layer: LayerInfo, motifs: float) -> float:
    """Return the factor of a style layer's weight at `motifs` in [0, 1].

    It falls with the layer's depth, from 1 at depth 0 to motifs^2.5 at depth 1.
    """
    return 1 - depth(layer) * (1 - float(motifs**_POWER))


def scaled(weights: Mapping[str, float], backbone: Backbone, motifs: float) -> dict[str, float]:
    """Return the weights of a style term's layers times their factors, those above 0."""
    layers = {layer.name: layer for layer in backbone.layers}
    factors = {name: factor(layers[name], motifs) if name in layers else 1.0 for name in weights}
    products = {name: weight * factors[name] for name, weight in weights.items()}
    return {name: weight for name, weight in products.items() if weight > 0}


def scales_any(layers: Iterable[str], backbone: Backbone) -> bool:
    """Return whether one of the style layers represents more than strokes and colors."""
    names = set(layers)
    return any(depth(layer) > 0 for layer in backbone.layers if layer.name in names)
