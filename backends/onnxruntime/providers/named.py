"""Devices of providers that users name, as ``openvino:GPU`` or ``ep:NAME``.

Such a provider comes from an installed package or is a part of a build of ONNX Runtime. It has its
own copies of images and features, which are in the memory of the host for torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from ....core.errors import BackendError, UsageError
from ....core.interfaces.backend import Precision
from ...offline import import_onnxruntime
from ..tensorrt import NAME as TENSORRT
from .known import KNOWN, SUFFIX, KnownProvider, known_provider
from .nvidia import CUDA
from .packages import (
    Hardware,
    ProviderPackage,
    hardware_of,
    installed_modules,
    load_package,
    providers_with_hardware,
)
from .place import CPU, Place

onnxruntime = import_onnxruntime()

#: Start of a device that is given by its provider's name.
BY_NAME = "ep"

_KINDS = ("CPU", "GPU", "NPU")

#: The devices of the providers that have names of another form.
OTHERS = {CPU[0]: "cpu", CUDA: "cuda", TENSORRT: "tensorrt"}


@dataclass(frozen=True)
class _Named:
    """A provider, and the kind or the index of its hardware that a user has chosen, or ""."""

    device: str
    provider: str
    known: KnownProvider | None
    selector: str

    @property
    def title(self) -> str:
        return self.known.title if self.known else self.provider


def is_named(device: str) -> bool:
    """Return whether a device has the form of those in this module."""
    name, *parts = device.split(":")
    if name == BY_NAME:
        return len(parts) in (1, 2) and bool(parts[0]) and _is_selector(parts[1:])
    return name in KNOWN and len(parts) < 2 and _is_selector(parts)


def find_named(device: str, precision: Precision) -> Place:
    """Return the place of a device, whose package is loaded now.

    Raises UsageError for one that has a name of another form, BackendError for a provider that is
    not installed, does not work, or lacks the hardware or the precision.
    """
    named = _named(device)
    hardware = hardware_of(named.provider)
    if hardware:
        return _on_hardware(named, _selected(named, hardware), precision)
    if named.provider in onnxruntime.get_available_providers():
        return _in_build(named, precision)
    known = named.known
    if known and known.module in installed_modules():
        raise BackendError(
            f"{known.title} finds nothing on this machine that it can use ({known.install}); "
            "use `device=cpu`"
        )
    how = f" ({known.install})" if known else ""
    raise BackendError(f"{named.title} is not installed{how}; or use `device=cpu`")


def short_name(provider: str) -> str:
    """Return the name of a provider as users may write it after ``ep:``."""
    return re.sub(SUFFIX, "", provider, count=1, flags=re.IGNORECASE)


def load_all() -> list[ProviderPackage]:
    """Load all installed packages and return them, also those that cannot be used."""
    return [load_package(module) for module in installed_modules()]


def _is_selector(parts: list[str]) -> bool:
    return all(part in _KINDS or (part.isascii() and part.isdigit()) for part in parts)


def _named(device: str) -> _Named:
    name, *parts = device.split(":")
    if name == BY_NAME:
        wanted, *parts = parts
        provider = _by_name(wanted)
        known = known_provider(provider)
    else:
        known = KNOWN[name]
        provider = known.provider
        _load(known)
    return _Named(device, provider, known, "".join(parts))


def _load(known: KnownProvider) -> None:
    """Load the package of a provider, if it is installed. Raises BackendError if it is broken."""
    if known.module in installed_modules():
        package = load_package(known.module)
        if package.unusable:
            raise BackendError(
                f"the package {package.module} cannot be used: {package.unusable}; use `device=cpu`"
            )


def _by_name(wanted: str) -> str:
    """Return the full name of a provider. Raises UsageError and BackendError."""
    for provider, device in OTHERS.items():
        if _same(provider, wanted):
            raise UsageError(f"the device of {provider} is called {device}")
    for known in KNOWN.values():
        if _same(known.provider, wanted):
            _load(known)
            return known.provider
    broken = [package for package in load_all() if package.unusable]
    providers: list[str] = sorted(
        {*onnxruntime.get_available_providers(), *providers_with_hardware()} - {*OTHERS}
    )
    for provider in providers:
        if _same(provider, wanted):
            return provider
    raise BackendError(
        f"ONNX Runtime has no provider {wanted} here that could be used, "
        f"only {', '.join(map(short_name, providers)) or 'its own'}"
        + "".join(f"; {package.module} cannot be used: {package.unusable}" for package in broken)
    )


def _same(provider: str, wanted: str) -> bool:
    return short_name(provider).lower() == short_name(wanted).lower()


def _selected(named: _Named, hardware: list[Hardware]) -> Hardware:
    """Return the first hardware, or that of the chosen kind or index. Raises BackendError."""
    selector = named.selector
    if not selector:
        return hardware[0]
    if selector.isdigit() and int(selector) < len(hardware):
        return hardware[int(selector)]
    for candidate in hardware:
        if candidate.kind == selector:
            return candidate
    there = ", ".join(f"{index}: {item.kind} {item.name}" for index, item in enumerate(hardware))
    raise BackendError(f"no device {named.device}: {named.title} can use {there}")


def _on_hardware(named: _Named, hardware: Hardware, precision: Precision) -> Place:
    known = named.known
    title = f"{named.title} {hardware.short_version} on the {hardware.kind} {hardware.name}"
    _check_precision(title, known.precisions(hardware) if known else ("float32",), precision)
    options = known.options(precision, hardware) if known else {}
    half = precision == "fp16" and known is not None and known.halves
    return Place(torch.device("cpu"), ((named.provider, options), CPU), half, hardware, title=title)


def _in_build(named: _Named, precision: Precision) -> Place:
    """Return the place of a provider that is a part of this build of ONNX Runtime."""
    known, selector = named.known, named.selector
    _check_precision(named.title, known.precisions(None) if known else ("float32",), precision)
    if selector.isdigit():
        options = {"device_id": selector}
    elif known and (not selector or known.build_options(selector) != known.build_options("")):
        options = known.build_options(selector)
    elif not selector:
        options = {}
    else:
        raise BackendError(f"no device {named.device}: {named.title} has no choice of hardware")
    title = f"{named.title} in ONNX Runtime {onnxruntime.__version__}"
    return Place(torch.device("cpu"), ((named.provider, options), CPU), title=title)


def _check_precision(title: str, precisions: tuple[Precision, ...], precision: Precision) -> None:
    if precision not in precisions:
        raise BackendError(
            f"{title} computes in {', '.join(precisions)}, not in {precision}; "
            f"use `precision={precisions[0]}`"
        )
