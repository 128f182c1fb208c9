"""The built-in backends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..backends.onnxruntime.options import OnnxOptions
from ..backends.pytorch.options import TorchOptions
from ..core.interfaces.backend import FeatureBackend
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
    )
    yield BackendSpec(
        name="onnx",
        summary="ONNX Runtime, on CPU, CUDA or TensorRT",
        create=_onnx,
        options=OnnxOptions,
    )


def _torch(arguments: BackendArguments[TorchOptions]) -> FeatureBackend:
    from ..backends.pytorch.backend import TorchBackend

    return TorchBackend(arguments.backbone, arguments.layers, arguments.options)


def _onnx(arguments: BackendArguments[OnnxOptions]) -> FeatureBackend:
    from ..backends.onnxruntime.backend import OnnxBackend

    return OnnxBackend(arguments.backbone, arguments.layers, arguments.options)
