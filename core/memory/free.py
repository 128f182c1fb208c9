"""The memory that is free: on the machine, within the limits of this process, on a GPU."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import psutil
import torch

from ..malloc import collect_and_return_memory
from .cgroups import free_in_cgroups


@dataclass(frozen=True)
class FreeMemory:
    """Bytes that this process may still allocate; `limit` names what limits it to them.

    The name is empty for the memory of the machine or of the device itself.
    """

    available: int
    limit: str = ""


def free_memory(device: torch.device) -> FreeMemory:
    """Return the memory that is free on a CUDA device, or else on the host.

    What torch's allocator holds on the device and does not use is free, since it is used again.
    On the host, limits of control groups and of the process count.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return FreeMemory(torch.cuda.mem_get_info(device)[0] + unused)
    collect_and_return_memory()
    limits = [FreeMemory(psutil.virtual_memory().available), *_limits_of_process()]
    in_cgroups = free_in_cgroups()
    if in_cgroups is not None:
        limits.append(FreeMemory(in_cgroups, "the memory limit of the control group"))
    return min(limits, key=lambda free: free.available)


def held_memory(device: torch.device) -> int:
    """Return the bytes that the program holds: code, the network's weights, images."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return int(psutil.Process().memory_info().rss)


def _limits_of_process() -> list[FreeMemory]:
    """Return what the limits of address space and of data leave (`ulimit -v` and `ulimit -d`).

    Only on Linux, where what counts towards them is known.
    """
    if not sys.platform.startswith("linux"):
        return []
    import resource

    memory = psutil.Process().memory_info()
    used = {
        (resource.RLIMIT_AS, "the limit of address space (`ulimit -v`)"): memory.vms,
        (resource.RLIMIT_DATA, "the limit of data (`ulimit -d`)"): memory.data,
    }
    limits = [(resource.getrlimit(kind)[0], name, size) for (kind, name), size in used.items()]
    return [
        FreeMemory(max(0, limit - size), name)
        for limit, name, size in limits
        if limit != resource.RLIM_INFINITY
    ]
