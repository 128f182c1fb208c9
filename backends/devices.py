"""The devices and precisions of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

import torch

from ..core.errors import BackendError, UsageError
from ..core.interfaces.backend import BackendDevice, Precision
from ..core.machine.processor import processor_name


def find_device(name: str) -> torch.device:
    """Return the torch device of a job's ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises UsageError for an unknown name, BackendError for a device that this machine lacks.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    match = re.fullmatch(r"(cpu|mps|cuda)(?::(\d+))?", name)
    if match is None:
        raise UsageError(
            f"unknown device {name!r}; choose auto, cpu, cuda, cuda:N or mps; "
            "`stylectl list devices` shows those of other backends"
        )
    kind, index = match.groups()
    if kind == "cuda" and not torch.cuda.is_available():
        built_with_cuda = torch.version.cuda
        reason = (
            f"torch {torch.__version__} finds no usable GPU or driver"
            if built_with_cuda
            else f"torch {torch.__version__} is built without CUDA"
        )
        raise BackendError(f"no CUDA device: {reason}; use `device=cpu`")
    if kind == "cuda" and index and int(index) >= torch.cuda.device_count():
        raise BackendError(
            f"no device {name}: this machine has {torch.cuda.device_count()} GPUs, "
            "numbered from cuda:0"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise BackendError("no MPS device: MPS requires a Mac with Apple silicon; use `device=cpu`")
    return torch.device(name)


def check_precision(device: torch.device, precision: str) -> None:
    """Check that the device computes in `precision`, and not merely by emulation.

    Raises BackendError if it does not.
    """
    if precision != "float32" and not _supports(device, precision):
        raise BackendError(f"the device {device} has no {precision}; use `precision=float32`")


def automatic_precision(device: torch.device) -> Precision:
    """Return the precision of `auto`.

    It is tf32 on CUDA devices that have it, and bf16 on CPUs that multiply such numbers themselves
    (AMX, or AVX-512 with its extension for bf16): there the scores of results are those of float32
    (docs/quality.md). Everywhere else it is float32.
    """
    if device.type == "cuda" and _supports(device, "tf32"):
        return "tf32"
    if device.type == "cpu" and _multiplies_bf16():
        return "bf16"
    return "float32"


def precisions_of(device: torch.device) -> tuple[Precision, ...]:
    """Return the precisions in which the device computes."""
    names: tuple[Precision, ...] = get_args(Precision)
    return tuple(name for name in names if name == "float32" or _supports(device, name))


def torch_devices() -> Iterator[BackendDevice]:
    """Yield the devices of the backend `torch` on this machine."""
    names = {"cpu": processor_name()}
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        names[f"cuda:{index}"] = torch.cuda.get_device_name(index)
    if torch.backends.mps.is_available():
        names["mps"] = processor_name()
    for name, hardware in names.items():
        yield BackendDevice(
            name=name,
            hardware=hardware,
            runtime=f"PyTorch {torch.__version__}",
            precisions=precisions_of(torch.device(name)),
        )


def _multiplies_bf16() -> bool:
    """Return whether the CPU has instructions for products in bf16, which oneDNN then uses."""
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # of torch 2.8 and later
    found = any(check() for name in names if (check := getattr(torch.cpu, name, None)))
    return found and _supports(torch.device("cpu"), "bf16")


def _supports(device: torch.device, precision: str) -> bool:
    match device.type, precision:
        case "cpu", "bf16":
            return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        case "cpu", "fp16":
            return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
        case "cuda", "tf32":
            return torch.cuda.get_device_capability(device) >= (8, 0)
        case "cpu" | "mps", "tf32":
            return False
        case "cuda", "bf16":
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        case "mps", "bf16":
            return bool(torch.backends.mps.is_macos_or_newer(14, 0))
    return True
