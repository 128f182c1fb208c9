"""Which of ONNX Runtime's providers run a job, and why one cannot."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path

import onnxruntime
import torch

from ...core.errors import BackendError, UsageError
from ...core.interfaces.backend import Precision
from ..devices import check_precision, find_device
from .session import Provider
from .tensorrt import NAME as TENSORRT

_CPU: Provider = ("CPUExecutionProvider", {})
_SUFFIX = {"linux": ".so", "win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
_PREFIX = "" if sys.platform == "win32" else "lib"


@dataclass(frozen=True)
class Place:
    """Where a job runs: torch's device for images and features, the providers in order (what the
    first refuses falls to the next), and whether the model itself is to be in half precision."""

    device: torch.device
    providers: tuple[Provider, ...]
    half: bool = False

    @property
    def compiles(self) -> bool:
        """Whether models are compiled for the sizes of what they are given: by TensorRT."""
        return self.providers[0][0] == TENSORRT


def find_place(name: str, precision: Precision) -> Place:
    """The place for a job's ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``tensorrt``.

    `auto` is CUDA where torch and ONNX Runtime both have it, else the CPU; TensorRT, which takes
    minutes to build an engine, has to be asked for. Raises UsageError for an unknown name,
    BackendError for what this machine lacks.
    """
    if name == "auto":
        both = torch.cuda.is_available() and not _missing("cuda")
        name = "cuda" if both else "cpu"
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
            "there is auto, cpu, cuda, cuda:N, tensorrt, tensorrt:N"
        )
    _check(kind)
    device = find_device(f"cuda:{index or 0}")
    check_precision(device, precision)
    cuda = ("CUDAExecutionProvider", _cuda_options(device, precision))
    if kind == "cuda":
        if precision == "bf16":
            raise BackendError(
                "ONNX Runtime's CUDA provider has no convolutions in bf16; "
                "use `precision=float32` or fp16, or `device=tensorrt`"
            )
        return Place(device, (cuda, _CPU), half=precision == "fp16")
    _check("cuda")
    if precision == "tf32":
        raise BackendError("TensorRT is not told to use TF32; use `device=cuda`")
    return Place(device, ((TENSORRT, _tensorrt_options(device, precision)), cuda, _CPU))


def provider_library(part: str) -> Path:
    """The file of ONNX Runtime's own that holds a provider (``cuda``, ``tensorrt``), or what they
    share."""
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
    """Raises BackendError when a provider is not there, or what it needs is not."""
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
    """What keeps a provider from loading, in the words of the system's loader, or "".

    ONNX Runtime itself would only log it and go on with the CPU.
    """
    names = {"cuda": "CUDAExecutionProvider", "tensorrt": TENSORRT}
    if names[kind] not in onnxruntime.get_available_providers():
        return "this build has none"
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls(directory="")  # those of NVIDIA's packages, as torch has them
    try:
        for part, mode in (("shared", ctypes.RTLD_GLOBAL), (kind, ctypes.DEFAULT_MODE)):
            ctypes.CDLL(str(provider_library(part)), mode=mode)
    except OSError as error:
        return str(error).splitlines()[0]
    return ""
