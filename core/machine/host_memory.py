"""Memory of the host: what is free within the limits of this process, and what it holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from .cgroups import free_in_cgroups


@dataclass(frozen=True)
class FreeMemory:
    """Bytes that a process may allocate; `limit` says what limits them.

    It is empty for the memory of the machine, or of the device, itself.
    """

    available: int
    limit: str = ""


def free() -> FreeMemory:
    """Return the memory that this process may allocate without swapping, and what limits it.

    Limits of control groups (containers, systemd's units) and of the process (`ulimit`) count.
    """
    limits = [FreeMemory(psutil.virtual_memory().available), *_limits_of_process()]
    in_cgroups = free_in_cgroups()
    if in_cgroups is not None:
        limits.append(FreeMemory(in_cgroups, "the control group's memory limit"))
    return min(limits, key=lambda free: free.available)


def free_bytes() -> int:
    """Return the bytes that this process may allocate without swapping; see `free`."""
    return free().available


def held_bytes() -> int:
    """Return the bytes that this process holds: code, the network's weights, images."""
    return int(psutil.Process().memory_info().rss)


def in_words(size: float) -> str:
    """Return a number of bytes in GB or MB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _limits_of_process() -> Iterator[FreeMemory]:
    """Yield what the limits of address space and of data leave.

    Only on Linux, where what counts towards them is known.
    """
    if not sys.platform.startswith("linux"):
        return
    import resource

    memory = psutil.Process().memory_info()
    for kind, name, used in (
        (resource.RLIMIT_AS, "the limit of address space (ulimit -v)", memory.vms),
        (resource.RLIMIT_DATA, "the limit of data (ulimit -d)", memory.data),
    ):
        limit, _ = resource.getrlimit(kind)
        if limit != resource.RLIM_INFINITY:
            yield FreeMemory(max(0, limit - used), name)
