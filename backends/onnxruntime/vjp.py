"""The vjp by two ONNX models: one that gives the layers, one that gives the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...core.interfaces.backend import Features, Pullback
from ..onnx_export.export import IMAGE
from ..onnx_gradient import cotangent_name
from ..pytorch.half import in_half_range
from .session import Session, to_onnx, to_torch


@dataclass(frozen=True)
class NativeVjp:
    """Sessions of the models that `onnx_gradient.differentiate` makes of a network's.

    With `half`, the network computes in float16 somewhere.
    """

    forward: Session
    backward: Session
    layers: Sequence[str]
    half: bool

    def __call__(self, image: Tensor) -> tuple[Features, Pullback]:
        """See FeatureBackend.vjp. What the forward model computes stays where it is, until the
        backward model has used it."""
        given = to_onnx(image)
        values = self.forward.run({IMAGE: given}, self.forward.outputs)
        features = {layer: to_torch(values[layer]) for layer in self.layers}
        shapes = {layer: feature.shape for layer, feature in features.items()}
        values[IMAGE] = given
        tape = [{name: values[name] for name in self.backward.inputs if name in values}]

        def pullback(cotangents: Features) -> Tensor:
            inputs = tape.pop()  # freed when it has been used; `checked_pullback` allows one call
            scaled, factor = in_half_range(cotangents) if self.half else (cotangents, 1.0)
            for layer, shape in shapes.items():
                own = scaled.get(layer)
                if own is None:
                    own = torch.zeros(shape, device=image.device)
                inputs[cotangent_name(layer)] = to_onnx(own)
            (gradient,) = self.backward.run(inputs, self.backward.outputs).values()
            return to_torch(gradient).div_(factor)

        return features, pullback
