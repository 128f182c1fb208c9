"""The built-in backends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..backends.onnxruntime.options import OnnxOptions
from ..backends.pytorch.options import TorchOptions
from ..core.interfaces.backbone import Backbone
from ..core.interfaces.backend import BackendOptions, FeatureBackend
from ..core.interfaces.specs import BackendSpec
from .hookspecs import hookimpl


@hookimpl
def stylectl_backends() -> Iterable[BackendSpec]:
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


def _torch(backbone: Backbone, layers: Sequence[str], options: BackendOptions) -> FeatureBackend:
    from ..backends.pytorch.backend import TorchBackend

    return TorchBackend(backbone, layers, options)


def _onnx(backbone: Backbone, layers: Sequence[str], options: OnnxOptions) -> FeatureBackend:
    from ..backends.onnxruntime.backend import OnnxBackend

    return OnnxBackend(backbone, layers, options)
