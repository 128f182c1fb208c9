"""The vjp by two ONNX models, one for the layers and one for the gradient."""

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
    """The vjp of a network by the two models that `onnx_gradient.differentiate` makes of it.

    With `half`, a part of the network computes in float16.
    """

    forward: Session
    backward: Session
    layers: Sequence[str]
    half: bool

    def __call__(self, image: Tensor) -> tuple[Features, Pullback]:
        """See FeatureBackend.vjp.

        The forward model's outputs stay on the device until the backward model has used them.
        """
        image_value = to_onnx(image)
        values = self.forward.run({IMAGE: image_value}, self.forward.outputs)
        features = {layer: to_torch(values[layer]) for layer in self.layers}
        shapes = {layer: feature.shape for layer, feature in features.items()}
        values[IMAGE] = image_value
        tape = [{name: values[name] for name in self.backward.inputs if name in values}]

        def pullback(cotangents: Features) -> Tensor:
            inputs = tape.pop()  # freed after its use; `checked_pullback` allows one call
            scaled, factor = in_half_range(cotangents) if self.half else (cotangents, 1.0)
            for layer, shape in shapes.items():
                cotangent = scaled.get(layer)
                if cotangent is None:
                    cotangent = torch.zeros(shape, device=image.device)
                inputs[cotangent_name(layer)] = to_onnx(cotangent)
            (gradient,) = self.backward.run(inputs, self.backward.outputs).values()
            return to_torch(gradient).div_(factor)

        return features, pullback
