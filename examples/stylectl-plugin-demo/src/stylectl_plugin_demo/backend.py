"""A backend: its entry in the list of backends, without the import of its runtime."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stylectl import Backbone, BackendOptions, BackendSpec, FeatureBackend, hookimpl


def _create(backbone: Backbone, layers: Sequence[str], options: BackendOptions) -> FeatureBackend:
    from .autograd import AutogradBackend

    return AutogradBackend(backbone, layers, options)


@hookimpl
def stylectl_backends() -> Iterable[BackendSpec]:
    """Return the backend `demo-autograd`."""
    yield BackendSpec(
        name="demo-autograd",
        summary="torch's autograd alone, on the CPU in float32",
        create=_create,
    )
