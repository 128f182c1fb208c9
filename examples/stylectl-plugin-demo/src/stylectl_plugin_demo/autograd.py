"""The smallest backend: torch runs the network, and its autograd differentiates it."""

from __future__ import annotations

from collections.abc import Collection

import torch
from stylectl import (
    BackendArguments,
    BackendError,
    BackendOptions,
    FeatureBackend,
    Features,
    Pullback,
    Trunk,
    check_image,
    check_layers,
    checked_pullback,
)
from torch import Tensor


class AutogradBackend(FeatureBackend):
    """A backbone's own torch module, on the CPU in float32.

    Replace torch by your runtime: a backend maps an image (N, 3, H, W) to the features of the
    layers, and their cotangents back to a gradient of the image.
    """

    def __init__(self, arguments: BackendArguments[BackendOptions]) -> None:
        options = arguments.options
        if options.device not in ("auto", "cpu"):
            raise BackendError("demo-autograd: the CPU only; use `device=cpu`")
        if options.precision != "float32":
            raise BackendError("demo-autograd: float32 only; use `precision=float32`")
        self.layers = arguments.layers
        self.device = torch.device("cpu")
        self._trunk: Trunk | None = arguments.backbone.trunk(self.layers)

    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        """See FeatureBackend.features."""
        requested = self.layers if layers is None else layers
        check_layers(requested, self.layers)
        check_image(image)
        with torch.no_grad():
            activations: Features = self._open_trunk()(image.cpu(), requested)
        return activations

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        """See FeatureBackend.vjp."""
        check_image(image)
        leaf = image.detach().cpu().requires_grad_()
        with torch.enable_grad():
            activations: Features = self._open_trunk()(leaf)

        def pullback(cotangents: Features) -> Tensor:
            if not cotangents:
                return torch.zeros_like(leaf, requires_grad=False)
            outputs = [activations[layer] for layer in cotangents]
            gradients = [cotangents[layer] for layer in cotangents]
            (gradient,) = torch.autograd.grad(outputs, leaf, gradients)
            return gradient

        features = {layer: value.detach() for layer, value in activations.items()}
        return features, checked_pullback(features, pullback)

    def close(self) -> None:
        """See FeatureBackend.close."""
        self._trunk = None

    def _open_trunk(self) -> Trunk:
        if self._trunk is None:
            raise BackendError("the backend was closed; open another one")
        return self._trunk
