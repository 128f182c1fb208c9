"""The built-in backends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..core.backbone import Backbone
from ..core.backend import BackendOptions, FeatureBackend
from ..core.specs import BackendSpec
from .hookspecs import hookimpl


@hookimpl
def stylectl_backends() -> Iterable[BackendSpec]:
    """PyTorch."""
    yield BackendSpec(name="torch", summary="PyTorch, on CPU, CUDA or MPS", create=_torch)


def _torch(backbone: Backbone, layers: Sequence[str], options: BackendOptions) -> FeatureBackend:
    from ..backends.torch_backend import TorchBackend

    return TorchBackend(backbone, layers, options)
