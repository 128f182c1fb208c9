"""NVIDIA's providers in ONNX Runtime's builds, CUDA and TensorRT: options, and what is missing."""

from __future__ import annotations

import ctypes
import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

import torch

from ....core.errors import BackendError
from ....core.interfaces.backend import Precision
from ...offline import import_onnxruntime
from ..tensorrt import NAME as TENSORRT

onnxruntime = import_onnxruntime()

CUDA = "CUDAExecutionProvider"

_SUFFIX = {"linux": ".so", "win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
_PREFIX = "" if sys.platform == "win32" else "lib"


def provider_library(part: str) -> Path:
    """Return the path of ONNX Runtime's library of a provider, ``cuda`` or ``tensorrt``.

    The part ``shared`` is the library that both of them use.
    """
    folder = Path(onnxruntime.__file__).parent / "capi"
    return folder / f"{_PREFIX}onnxruntime_providers_{part}{_SUFFIX}"


def cuda_options(device: torch.device, precision: Precision) -> dict[str, str]:
    """Return the options of CUDA for a device and a precision."""
    return {
        "device_id": str(device.index or 0),
        "use_tf32": "1" if precision == "tf32" else "0",  # float32 means float32
        "cudnn_conv_algo_search": "HEURISTIC",  # not by timing, whose outcome varies
    }


def tensorrt_options(device: torch.device, precision: Precision) -> dict[str, str]:
    """Return the options of TensorRT for a device and a precision."""
    return {
        "device_id": str(device.index or 0),
        "trt_fp16_enable": str(precision == "fp16"),
        "trt_bf16_enable": str(precision == "bf16"),
        "trt_engine_cache_enable": "True",
        "trt_timing_cache_enable": "True",
    }


def check_loadable(kind: str) -> None:
    """Check that a provider can be loaded. Raises BackendError if it, or a requirement, cannot."""
    if reason := missing(kind):
        install = {
            "cuda": "install onnxruntime-gpu with the CUDA and cuDNN that it is built for "
            "(pip install 'onnxruntime-gpu[cuda,cudnn]')",
            "tensorrt": "install TensorRT (pip install tensorrt) with that CUDA",
        }[kind]
        raise BackendError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load its provider for {kind}: "
            f"{reason}; {install}, or use `device=cpu`"
        )


def missing(kind: str) -> str:
    """Return why a provider cannot be loaded, in the words of the system's loader, or "".

    ONNX Runtime itself would only log the failure, and continue on the CPU.
    """
    names = {"cuda": CUDA, "tensorrt": TENSORRT}
    if names[kind] not in onnxruntime.get_available_providers():
        return "this build does not include it"
    if hasattr(onnxruntime, "preload_dlls"):
        with redirect_stdout(io.StringIO()):  # what it does not find may be elsewhere
            onnxruntime.preload_dlls(directory="")  # those of NVIDIA's packages, as in torch
    try:
        for part, mode in (("shared", ctypes.RTLD_GLOBAL), (kind, ctypes.DEFAULT_MODE)):
            ctypes.CDLL(str(provider_library(part)), mode=mode)
    except OSError as error:
        return str(error).splitlines()[0]
    return ""
