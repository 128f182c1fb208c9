"""The PyTorch backend: the vjp of a frozen backbone by autograd or, for a chain, step by step."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from ...core.errors import BackendError
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.backend import BackendOptions, FeatureBackend, Features, Pullback
from ...core.interfaces.contract import check_image, check_layers, checked_pullback
from ...core.interfaces.trunk import ChainTrunk, Trunk
from ..devices import automatic_precision, check_precision, find_device
from .chain_vjp import chain_vjp
from .fast_convolution import make_fast
from .half import in_half_range
from .options import TorchOptions

#: FeatureBackend.memory_factor of networks without branches; see core/memory/estimate.py.
_MEMORY_OF_CHAINS = 1.0

_DTYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


class TorchBackend(FeatureBackend):
    """A backbone on one device, channels last, run no deeper than the deepest of its layers.

    Below float32 only the network runs in the smaller type; images, features and gradients are
    float32 in any case.
    """

    def __init__(self, backbone: Backbone, layers: Sequence[str], options: BackendOptions) -> None:
        """Move the backbone to the device.

        Options of another class than TorchOptions get its defaults for the other fields. Raises
        BackendError when the device or the precision is not available.
        """
        self.device = find_device(options.device)
        precision = options.precision
        if precision == "auto":
            self.chosen_precision = precision = automatic_precision(self.device)
        check_precision(self.device, precision)
        self.layers = tuple(layers)
        self._dtype = _DTYPES[precision]
        trunk = backbone.trunk(self.layers).to(self.device, self._dtype)
        self._open_trunk: Trunk | None = trunk
        for weight in trunk.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        if not isinstance(options, TorchOptions):
            options = TorchOptions(device=options.device, precision=precision)
        self._convolutions = partial(_convolutions, tf32=precision == "tf32")
        self.recordable = self.device.type == "cuda" and options.cuda_graph == "auto"
        if isinstance(trunk, ChainTrunk):
            self.memory_factor = _MEMORY_OF_CHAINS
            if options.convolution == "auto":
                make_fast(trunk)

    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        """See FeatureBackend.features."""
        wanted = self.layers if layers is None else layers
        check_layers(wanted, self.layers)
        image = self._laid_out(image)
        with torch.no_grad(), self._convolutions():
            activations = self._trunk(image, wanted)
        return {name: value.float() for name, value in activations.items()}

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        """See FeatureBackend.vjp."""
        trunk, image = self._trunk, self._laid_out(image)
        with self._convolutions():
            activations, network_pullback = (
                chain_vjp(trunk, image)
                if isinstance(trunk, ChainTrunk)
                else autograd_vjp(trunk, image)
            )

        def pullback(cotangents: Features) -> Tensor:
            scaled, scale = (
                in_half_range(cotangents) if self._dtype == torch.float16 else (cotangents, 1.0)
            )
            with self._convolutions():
                gradient = network_pullback(scaled)
            return gradient.contiguous().div_(scale)

        features = {name: value.float() for name, value in activations.items()}
        return features, checked_pullback(features, pullback)

    def close(self) -> None:
        """See FeatureBackend.close."""
        self._open_trunk = None

    @property
    def _trunk(self) -> Trunk:
        if self._open_trunk is None:
            raise BackendError("the backend was closed; open another one")
        return self._open_trunk

    def _laid_out(self, image: Tensor) -> Tensor:
        check_image(image)
        return image.to(self.device).contiguous(memory_format=torch.channels_last)


def autograd_vjp(trunk: Trunk, image: Tensor) -> tuple[dict[str, Tensor], Pullback]:
    """Return a trunk's activations at `image` and the pullback, both in the weights' type."""
    leaf = image.detach().requires_grad_()
    with torch.enable_grad():
        activations: dict[str, Tensor] = trunk(leaf)

    def pullback(cotangents: Features) -> Tensor:
        outputs = [activations.pop(name) for name in cotangents]
        output_gradients = [
            value.to(output.dtype)
            for output, value in zip(outputs, cotangents.values(), strict=True)
        ]
        if not outputs:
            return torch.zeros_like(image)
        (gradient,) = torch.autograd.grad(outputs, leaf, output_gradients)
        return gradient

    return {name: value.detach() for name, value in activations.items()}, pullback


@contextmanager
def _convolutions(tf32: bool) -> Iterator[None]:
    """Restrict cuDNN to deterministic kernels, and to float32 unless `tf32` is true.

    The same input then gives the same output.
    """
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32
    ):
        yield
