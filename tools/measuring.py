"""What the benches measure with: seconds of a call, and the memory of this process."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


def timed(call: Callable[[], T], device: torch.device) -> tuple[T, float]:
    """What a call gives, and the seconds that it took, with what it left the device to do."""
    import torch

    started = time.perf_counter()
    result = call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return result, time.perf_counter() - started


def memory_mb(device: torch.device) -> float:
    """What the process holds now, in MB (10^6 bytes); on CUDA, of the device."""
    import psutil
    import torch

    if device.type == "cuda":
        return float(torch.cuda.memory_allocated(device) / 1e6)
    return float(psutil.Process().memory_info().rss / 1e6)


def peak_memory_mb(device: torch.device) -> float:
    """The process's own high-water mark, in MB; on CUDA, the device's."""
    import torch

    if device.type == "cuda":
        return float(torch.cuda.max_memory_reserved(device) / 1e6)
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset / 1e6)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
