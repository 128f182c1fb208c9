"""The choice of ONNX Runtime's providers for a job, and the reason why one cannot be loaded."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from ...core.errors import BackendError, UsageError
from ...core.interfaces.backend import Precision
from ..devices import check_precision, find_device
from ..offline import import_onnxruntime
from .session import Provider
from .tensorrt import NAME as TENSORRT

onnxruntime = import_onnxruntime()

_CPU: Provider = ("CPUExecutionProvider", {})
_SUFFIX = {"linux": ".so", "win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
_PREFIX = "" if sys.platform == "win32" else "lib"


@dataclass(frozen=True)
class Place:
    """The device and the providers that run a job.

    `device` is torch's, for images and features. `providers` are in order: the next one runs what
    the first does not support. With `half`, the model itself is in half precision.
    """

    device: torch.device
    providers: tuple[Provider, ...]
    half: bool = False

    @property
    def compiles(self) -> bool:
        """True if models are compiled for the sizes of their inputs, by TensorRT."""
        return self.providers[0][0] == TENSORRT


def find_place(name: str, precision: Precision) -> Place:
    """Return the place for a job's ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``tensorrt``.

    `auto` is CUDA where torch and ONNX Runtime both have it, else the CPU; it is never TensorRT,
    which takes minutes to build an engine. Raises UsageError for an unknown name, BackendError for
    a device or provider that this machine lacks.
    """
    if name == "auto":
        has_cuda = torch.cuda.is_available() and not _missing("cuda")
        name = "cuda" if has_cuda else "cpu"
    if name == "cpu":
        if precision != "float32":
            raise BackendError(
                f"ONNX Runtime computes in float32 on the CPU, not in {precision}; "
                "use `precision=float32`, or `backend=torch`"
            )
        return Place(torch.device("cpu"), (_CPU,))
    kind, _, index = name.partition(":")
    if kind not in ("cuda", "tensorrt") or (name != kind and not index.isdigit()):
        raise UsageError(
            f"unknown device {name!r} of the backend onnx; "
            "choose auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N"
        )
    _check(kind)
    device = find_device(f"cuda:{index or 0}")
    check_precision(device, precision)
    cuda = ("CUDAExecutionProvider", _cuda_options(device, precision))
    if kind == "cuda":
        if precision == "bf16":
            raise BackendError(
                "ONNX Runtime's CUDA provider has no convolutions in bf16; "
                "use `precision=float32`, `precision=fp16` or `device=tensorrt`"
            )
        return Place(device, (cuda, _CPU), half=precision == "fp16")
    _check("cuda")
    if precision == "tf32":
        raise BackendError("TensorRT is not used with the precision tf32; use `device=cuda`")
    return Place(device, ((TENSORRT, _tensorrt_options(device, precision)), cuda, _CPU))


def provider_library(part: str) -> Path:
    """Return the path of ONNX Runtime's library of a provider, ``cuda`` or ``tensorrt``.

    The part ``shared`` is the library that both of them use.
    """
    folder = Path(onnxruntime.__file__).parent / "capi"
    return folder / f"{_PREFIX}onnxruntime_providers_{part}{_SUFFIX}"


def _cuda_options(device: torch.device, precision: Precision) -> dict[str, str]:
    return {
        "device_id": str(device.index or 0),
        "use_tf32": "1" if precision == "tf32" else "0",  # float32 means float32
        "cudnn_conv_algo_search": "HEURISTIC",  # not by timing, whose outcome varies
    }


def _tensorrt_options(device: torch.device, precision: Precision) -> dict[str, str]:
    return {
        "device_id": str(device.index or 0),
        "trt_fp16_enable": str(precision == "fp16"),
        "trt_bf16_enable": str(precision == "bf16"),
        "trt_engine_cache_enable": "True",
        "trt_timing_cache_enable": "True",
    }


def _check(kind: str) -> None:
    """Check that a provider can be loaded. Raises BackendError if it, or a requirement, cannot."""
    if reason := _missing(kind):
        install = {
            "cuda": "install onnxruntime-gpu with the CUDA and cuDNN that it is built for "
            "(pip install 'onnxruntime-gpu[cuda,cudnn]')",
            "tensorrt": "install TensorRT (pip install tensorrt) with that CUDA",
        }[kind]
        raise BackendError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load its provider for {kind}: "
            f"{reason}; {install}, or use `device=cpu`"
        )


def _missing(kind: str) -> str:
    """Return why a provider cannot be loaded, in the words of the system's loader, or "".

    ONNX Runtime itself would only log the failure, and continue on the CPU.
    """
    names = {"cuda": "CUDAExecutionProvider", "tensorrt": TENSORRT}
    if names[kind] not in onnxruntime.get_available_providers():
        return "this build does not include it"
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls(directory="")  # the libraries of NVIDIA's packages, as in torch
    try:
        for part, mode in (("shared", ctypes.RTLD_GLOBAL), (kind, ctypes.DEFAULT_MODE)):
            ctypes.CDLL(str(provider_library(part)), mode=mode)
    except OSError as error:
        return str(error).splitlines()[0]
    return ""
