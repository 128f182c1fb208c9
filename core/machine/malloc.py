"""Settings of the process's memory allocator: which freed memory it keeps."""

from __future__ import annotations

import ctypes
import gc
import sys

# Parameters of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1
#: Arrays of this many bytes or more are returned to the system when they are freed: there are few
#: of them, and smaller arrays would split the gaps that they leave. The layers of 512 px are below
#: this size.
_OWN_PAGES = 64 * 2**20


def keep_freed_memory() -> None:
    """Let glibc reuse all but the largest arrays instead of returning them to the system.

    Each step allocates and frees the same arrays, of many megabytes; each time the system would
    have to find and clear the pages again, which costs about a tenth of a step. For programs, not
    libraries, since it changes the whole process. Does nothing on other C libraries than glibc.
    """
    mallopt = _glibc_function("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)


def collect_and_return_memory() -> None:
    """Collect garbage, then return freed memory to the system.

    Creating models takes several copies of the weights, which the steps of a run do not need.
    """
    gc.collect()
    return_freed_memory()


def return_freed_memory() -> None:
    """Let glibc return freed memory to the system. Does nothing on other C libraries."""
    trim = _glibc_function("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc_function(name: str) -> ctypes._NamedFuncPointer | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)
