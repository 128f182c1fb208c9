"""Memory that stays with the process between the steps of a run."""

from __future__ import annotations

import ctypes
import sys

# mallopt's parameters, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1
#: Arrays from this size on are given back: there are few of them, and what they leave would lie in
#: pieces between smaller ones. The layers of 512 px are below it.
_OWN_PAGES = 64 * 2**20


def keep_freed_memory() -> None:
    """Let glibc reuse large arrays, but for the largest, instead of giving them back to the system.

    A step frees and takes the same arrays, of many megabytes, over and over; each time the system
    would have to find and clear the pages anew, which costs about a tenth of a step. For the
    program alone, as it owns its process; elsewhere than on glibc this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
