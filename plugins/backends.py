"""The built-in backends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..backends.onnxruntime.options import OnnxOptions
from ..backends.pytorch.options import TorchOptions
from ..core.interfaces.backend import BackendDevice, FeatureBackend
from ..core.interfaces.specs import BackendArguments, BackendSpec
from . import hooks


@hooks.backends
def backends() -> Iterable[BackendSpec[Any]]:
    """Return the backends `torch` and `onnx`."""
    yield BackendSpec(
        name="torch",
        summary="PyTorch, on CPU, CUDA or MPS",
        create=_torch,
        options=TorchOptions,
        devices=_torch_devices,
    )
    yield BackendSpec(
        name="onnx",
        summary="ONNX Runtime, on CPU, CUDA, TensorRT, OpenVINO or another provider",
        create=_onnx,
        options=OnnxOptions,
        devices=_onnx_devices,
    )


def _torch(arguments: BackendArguments[TorchOptions]) -> FeatureBackend:
    from ..backends.pytorch.backend import TorchBackend

    return TorchBackend(arguments.backbone, arguments.layers, arguments.options)


def _onnx(arguments: BackendArguments[OnnxOptions]) -> FeatureBackend:
    from ..backends.onnxruntime.backend import OnnxBackend

    return OnnxBackend(arguments.backbone, arguments.layers, arguments.options)


def _torch_devices() -> Iterable[BackendDevice]:
    from ..backends.devices import torch_devices

    return torch_devices()


def _onnx_devices() -> Iterable[BackendDevice]:
    from ..backends.onnxruntime.providers.listing import devices

    return devices()
