"""The installed packages `onnxruntime_ep_*`, each with a library of execution providers.

Such a package has the functions `get_library_path` and `get_ep_names`. Importing it executes its
code, as that of any installed package, and registering its library loads it into the process; both
happen when a job asks for one of its devices, or all devices are listed.
"""

from __future__ import annotations

import pkgutil
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from ....core.machine.processor import processor_name
from ....core.shown import error_line
from ...offline import import_onnxruntime

onnxruntime = import_onnxruntime()

#: Start of the names of the modules.
PREFIX = "onnxruntime_ep_"

#: Least severity that is logged; failures are raised as exceptions in any case.
_FATAL_ONLY = 4


@dataclass(frozen=True)
class ProviderPackage:
    """The module of a package, and the providers in it; or the reason why it cannot be used."""

    module: str
    providers: tuple[str, ...] = ()
    unusable: str = ""


@dataclass(frozen=True)
class Hardware:
    """Hardware that a provider of a package can use.

    `kind` is CPU, GPU or NPU. `properties` are the provider's own description of it. `version` is
    the provider's.
    """

    provider: str
    version: str
    kind: str
    name: str
    handle: Any = field(repr=False, compare=False)

    @property
    def short_version(self) -> str:
        """The version without the name of the build."""
        return self.version.partition("+")[0]

    @property
    def properties(self) -> dict[str, str]:
        """The provider's description, by keys of its own."""
        return dict(self.handle.ep_metadata)


def installed_modules() -> list[str]:
    """Return the names of the packages' modules, without importing them."""
    return sorted({name for _, name, _ in pkgutil.iter_modules() if name.startswith(PREFIX)})


@cache  # ONNX Runtime's providers are those of the process, and a library is registered once
def load_package(module: str) -> ProviderPackage:
    """Import the module and register its library with ONNX Runtime, unless that has been done.

    A package for which one of these fails is returned with the reason.
    """
    try:
        with redirect_stdout(sys.stderr):  # stdout may be data for another program
            package = import_module(module)
            library, names = str(package.get_library_path()), _names(package)
        onnxruntime.set_default_logger_severity(_FATAL_ONLY)
        if not _is_registered(library):
            onnxruntime.register_execution_provider_library(module, library)
    except (Exception, SystemExit) as error:  # of foreign code
        return ProviderPackage(module, unusable=error_line(error))
    return ProviderPackage(module, names)


def hardware_of(provider: str) -> list[Hardware]:
    """Return what a provider can use on this machine, in its order; empty before it is loaded."""
    return [
        Hardware(
            provider=device.ep_name,
            version=device.ep_metadata.get("version", "of unknown version"),
            kind=device.device.type.name,
            name=_name(device),
            handle=device,
        )
        for device in onnxruntime.get_ep_devices()
        if device.ep_name == provider
    ]


def providers_with_hardware() -> list[str]:
    """Return the names of the loaded providers that have hardware here, ONNX Runtime's own too."""
    return list(dict.fromkeys(device.ep_name for device in onnxruntime.get_ep_devices()))


def _names(package: Any) -> tuple[str, ...]:
    if hasattr(package, "get_ep_names"):
        return tuple(map(str, package.get_ep_names()))
    return (str(package.get_ep_name()),)


def _is_registered(library: str) -> bool:
    """Return whether this process has registered the library, under any name."""
    return any(
        Path(path) == Path(library)
        for device in onnxruntime.get_ep_devices()
        if (path := device.ep_metadata.get("library_path"))
    )


def _name(device: Any) -> str:
    """Return the name of hardware: the provider's, the system's, or what ONNX Runtime knows."""
    for properties, key in (
        (device.ep_metadata, "FULL_DEVICE_NAME"),
        (device.device.metadata, "Description"),
    ):
        if properties.get(key):
            return str(properties[key])
    if device.device.type.name == "CPU":
        return processor_name()
    hardware = device.device
    vendor = hardware.vendor or f"vendor {hardware.vendor_id:#06x}"
    return f"{vendor}, {hardware.device_id:#06x}"
