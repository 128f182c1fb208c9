"""A backend: its entry in the list of backends, without the import of its runtime."""

from __future__ import annotations

from collections.abc import Iterable

from stylectl import BackendArguments, BackendOptions, BackendSpec, FeatureBackend, hooks


def _create(arguments: BackendArguments[BackendOptions]) -> FeatureBackend:
    from .autograd import AutogradBackend

    return AutogradBackend(arguments)


@hooks.backends
def backends() -> Iterable[BackendSpec[BackendOptions]]:
    """Return the backend `demo-autograd`."""
    yield BackendSpec(
        name="demo-autograd",
        summary="torch's autograd alone, on the CPU in float32",
        create=_create,
        options=BackendOptions,
    )
