"""The devices of the backend `onnx` on this machine, and those that it could have."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import torch

from ....core.interfaces.backend import BackendDevice, Precision
from ....core.machine.processor import processor_name
from ...devices import precisions_of
from ...offline import import_onnxruntime
from .known import KNOWN, KnownProvider, known_provider
from .named import BY_NAME, OTHERS, load_all, short_name
from .nvidia import missing
from .packages import Hardware, ProviderPackage, hardware_of, providers_with_hardware

onnxruntime = import_onnxruntime()

#: Precisions in which the providers of ONNX Runtime's builds are used, if the GPU has them.
_USED: dict[str, tuple[Precision, ...]] = {
    "cuda": ("float32", "tf32", "fp16"),
    "tensorrt": ("float32", "fp16", "bf16"),
}


def devices() -> Iterator[BackendDevice]:
    """Yield the devices, after loading every installed package; with reasons those not usable."""
    runtime = f"ONNX Runtime {onnxruntime.__version__}"
    yield BackendDevice(
        name="cpu", hardware=processor_name(), runtime=runtime, precisions=("float32",)
    )
    for kind in ("cuda", "tensorrt"):
        yield from _nvidia(kind, runtime)
    packages = load_all()
    with_hardware = [name for name in providers_with_hardware() if name not in OTHERS]
    for provider in with_hardware:
        yield from _of_package(provider)
    for provider in onnxruntime.get_available_providers():
        if provider not in (*OTHERS, *with_hardware):
            yield _of_build(provider, runtime)
    yield from _unusable(packages, {*with_hardware, *onnxruntime.get_available_providers()})


def _nvidia(kind: str, runtime: str) -> Iterator[BackendDevice]:
    reason = missing(kind) or ("" if torch.cuda.is_available() else "no usable GPU or driver")
    if reason:
        yield BackendDevice(name=kind, runtime=runtime, unusable=reason)
        return
    for index in range(torch.cuda.device_count()):
        device = torch.device("cuda", index)
        supported = precisions_of(device)
        yield BackendDevice(
            name=f"{kind}:{index}",
            hardware=torch.cuda.get_device_name(device),
            runtime=runtime,
            precisions=tuple(name for name in _USED[kind] if name in supported),
        )


def _of_package(provider: str) -> Iterator[BackendDevice]:
    known = known_provider(provider)
    hardware = hardware_of(provider)
    for index, item in enumerate(hardware):
        yield BackendDevice(
            name=_device_name(provider, known, index, hardware),
            hardware=item.name,
            runtime=f"{known.title if known else provider} {item.short_version}",
            precisions=known.precisions(item) if known else ("float32",),
        )


def _device_name(
    provider: str, known: KnownProvider | None, index: int, hardware: list[Hardware]
) -> str:
    """Return the device's name, with the kind of hardware where it is the first of its kind."""
    if known and known.provider == provider:
        name = known.name
    else:
        name = f"{BY_NAME}:{short_name(provider)}"
    kind = hardware[index].kind
    is_first = kind not in (before.kind for before in hardware[:index])
    return f"{name}:{kind if is_first else index}"


def _of_build(provider: str, runtime: str) -> BackendDevice:
    known = known_provider(provider)
    return BackendDevice(
        name=known.name if known else f"{BY_NAME}:{short_name(provider)}",
        runtime=f"{known.title if known else provider} in {runtime}",
        precisions=known.precisions(None) if known else ("float32",),
    )


def _unusable(packages: list[ProviderPackage], usable: set[str]) -> Iterator[BackendDevice]:
    """Yield the packages that fail or find no hardware, and known providers without a package."""
    for package in packages:
        if package.unusable:
            reason = f"the package {package.module} cannot be used: {package.unusable}"
            yield BackendDevice(name=_name_of_module(package.module), unusable=reason)
        for provider in package.providers:
            if provider not in usable:
                known = known_provider(provider)
                yield BackendDevice(
                    name=known.name if known else f"{BY_NAME}:{short_name(provider)}",
                    runtime=known.title if known else provider,
                    unusable=f"{package.module} finds nothing here that it can use",
                )
    modules = {package.module for package in packages}
    for known in KNOWN.values():
        for_this_system = known.module or sys.platform == "darwin"
        if known.provider not in usable and known.module not in modules and for_this_system:
            yield BackendDevice(
                name=known.name, runtime=known.title, unusable=f"not installed: {known.install}"
            )


def _name_of_module(module: str) -> str:
    named = (known.name for known in KNOWN.values() if known.module == module)
    return next(named, module)
