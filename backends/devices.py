"""The devices and precisions of this machine."""

from __future__ import annotations

import re

import torch

from ..core.errors import BackendError, UsageError


def find_device(name: str) -> torch.device:
    """The torch device of a job's ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises UsageError for an unknown name, BackendError for what this machine does not have.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    match = re.fullmatch(r"(cpu|mps|cuda)(?::(\d+))?", name)
    if match is None:
        raise UsageError(f"unknown device {name!r}; there is auto, cpu, cuda, cuda:N, mps")
    kind, index = match.groups()
    if kind == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda
        reason = (
            f"torch {torch.__version__} finds no usable GPU or driver"
            if built
            else f"torch {torch.__version__} is built without CUDA"
        )
        raise BackendError(f"no CUDA device: {reason}; use `device=cpu`")
    if kind == "cuda" and index and int(index) >= torch.cuda.device_count():
        raise BackendError(f"no device {name}: this machine has {torch.cuda.device_count()} GPUs")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise BackendError("no MPS device: it needs a Mac with Apple silicon; use `device=cpu`")
    return torch.device(name)


def check_precision(device: torch.device, precision: str) -> None:
    """Raises BackendError when the device cannot compute in `precision`, or only by emulation."""
    if precision != "float32" and not _has(device, precision):
        raise BackendError(f"the device {device} has no {precision}; use `precision=float32`")


def _has(device: torch.device, precision: str) -> bool:
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
