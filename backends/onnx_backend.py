"""The ONNX Runtime backend: the exported backbone, with its gradient in ONNX or in torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..core.backbone import Backbone
from ..core.backend import BackendOptions, FeatureBackend, Features, Pullback
from ..core.errors import BackendError, UsageError, did_you_mean
from .freed_memory import release_freed_memory
from .onnx_export import IMAGE
from .onnx_models import Models, cache_folder, open_models
from .onnx_options import OnnxOptions
from .onnx_providers import find_place
from .onnx_session import Session, to_onnx, to_torch
from .onnx_vjp import NativeVjp
from .torch_backend import TorchBackend


class OnnxBackend(FeatureBackend):
    """A backbone in ONNX Runtime.

    `gradient` says what computes the vjp, and `gradient_reason` why: "native" is a second ONNX
    model, whose inputs are values that the first has computed; "torch" is the torch backend, on
    the same weights. ONNX Runtime and torch share the memory of what they hand over.
    """

    gradient: Literal["native", "torch"]
    gradient_reason: str

    def __init__(self, backbone: Backbone, layers: Sequence[str], options: OnnxOptions) -> None:
        """Raises BackendError when the device, the precision, or a native gradient that was asked
        for is not to be had."""
        place = find_place(options.device, options.precision, cache_folder() / "engines")
        self.device, self.layers = place.device, tuple(layers)
        on_cpu, half = self.device.type == "cpu", options.precision == "fp16"
        with open_models(backbone, self.layers, half=place.half, on_cpu=on_cpu) as models:
            self.gradient, self.gradient_reason = _choice(options, models)
            forward = Session(models.forward, place.providers, self.device)
            self._sessions = [forward]
            self._vjp: Callable[[Tensor], tuple[Features, Pullback]]
            if self.gradient == "native" and models.backward:
                backward = Session(models.backward, place.providers, self.device)
                self._sessions.append(backward)
                self._vjp = NativeVjp(forward, backward, self.layers, half)
            else:
                same = BackendOptions(device=str(self.device), precision=options.precision)
                try:
                    self._vjp = TorchBackend(backbone, self.layers, same).vjp
                except BackendError as error:
                    raise BackendError(
                        f"gradient = torch ({self.gradient_reason}): {error}"
                    ) from None
        self.details = {"gradient": self.gradient, "gradient_because": self.gradient_reason}
        release_freed_memory()

    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        """See FeatureBackend."""
        wanted = self.layers if layers is None else tuple(layers)
        self._check_layers(wanted)
        found = self._sessions[0].run({IMAGE: to_onnx(self._checked(image))}, wanted)
        return {layer: to_torch(value) for layer, value in found.items()}

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        """See FeatureBackend."""
        features, carry_back = self._vjp(self._checked(image))

        def pullback(cotangents: Features) -> Tensor:
            self._check_layers(cotangents)
            return carry_back(cotangents)

        return features, pullback

    def close(self) -> None:
        """See FeatureBackend."""
        for session in self._sessions:
            session.close()

    def _checked(self, image: Tensor) -> Tensor:
        if image.dim() != 4 or image.shape[1] != 3 or image.dtype != torch.float32:
            shape = tuple(image.shape)
            raise UsageError(f"images are (N, 3, H, W) in float32, not {shape} in {image.dtype}")
        return image.to(self.device)

    def _check_layers(self, wanted: Collection[str]) -> None:
        for layer in wanted:
            if layer not in self.layers:
                hint = did_you_mean(layer, self.layers)
                raise UsageError(f"the backend was not made for the layer {layer!r}; {hint}")


def _choice(options: OnnxOptions, models: Models) -> tuple[Literal["native", "torch"], str]:
    """What computes the gradient, and why."""
    if options.gradient == "torch":
        return "torch", "asked for"
    if models.backward:
        every = "every operator of the network has a gradient rule"
        return "native", "asked for" if options.gradient == "native" else every
    if options.gradient == "native":
        raise BackendError(f"{models.reason}; use gradient=torch")
    return "torch", models.reason
