"""The choice of ONNX Runtime's providers for a job's device."""

from __future__ import annotations

import torch

from ....core.errors import BackendError, UsageError
from ....core.interfaces.backend import Precision
from ...devices import automatic_precision, check_precision, find_device
from ..tensorrt import NAME as TENSORRT
from .named import find_named, is_named
from .nvidia import CUDA, check_loadable, cuda_options, missing, tensorrt_options
from .place import CPU, ON_CPU, Place

#: The device names, in words.
CHOICES = (
    "auto, cpu, cuda, cuda:N, tensorrt, tensorrt:N, openvino, openvino:CPU, openvino:GPU, "
    "openvino:NPU, webgpu, trt-rtx, coreml or ep:NAME"
)


def automatic_precision_of(name: str) -> Precision:
    """Return the precision of `auto` for a job's device: tf32 on CUDA, else float32.

    Raises what `find_device` raises.
    """
    if _resolved(name).partition(":")[0] != "cuda" or not torch.cuda.is_available():
        return "float32"
    return automatic_precision(find_device(_resolved(name)))


def find_place(name: str, precision: Precision) -> Place:
    """Return the place for a job's ``auto``, ``cpu``, ``cuda``, ``tensorrt`` or another provider.

    An index may follow, as in ``cuda:1``; for the others see `named`. `auto` is CUDA where torch
    and ONNX Runtime both have it, else the CPU; it is never TensorRT, which takes minutes to build
    an engine, nor one of the others. Raises UsageError for an unknown name, BackendError for a
    device or provider that this machine lacks.
    """
    name = _resolved(name)
    if name == "cpu":
        if precision != "float32":
            raise BackendError(
                f"ONNX Runtime computes in float32 on the CPU, not in {precision}; "
                "use `precision=float32`, or `backend=torch`"
            )
        return ON_CPU
    if is_named(name):
        return find_named(name, precision)
    kind, _, index = name.partition(":")
    if kind not in ("cuda", "tensorrt") or (name != kind and not index.isdigit()):
        raise UsageError(
            f"unknown device {name!r} of the backend onnx; "
            f"choose {CHOICES}; `stylectl list devices` shows those of this machine"
        )
    check_loadable(kind)
    device = find_device(f"cuda:{index or 0}")
    check_precision(device, precision)
    cuda = (CUDA, cuda_options(device, precision))
    if kind == "cuda":
        if precision == "bf16":
            raise BackendError(
                "ONNX Runtime's CUDA provider has no convolutions in bf16; "
                "use `precision=float32`, `precision=fp16` or `device=tensorrt`"
            )
        return Place(device, (cuda, CPU), half=precision == "fp16")
    check_loadable("cuda")
    if precision == "tf32":
        raise BackendError("TensorRT is not used with the precision tf32; use `device=cuda`")
    return Place(device, ((TENSORRT, tensorrt_options(device, precision)), cuda, CPU))


def _resolved(name: str) -> str:
    """Return the device's name, with `auto` replaced."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() and not missing("cuda") else "cpu"
