"""Giving memory back to the system."""

from __future__ import annotations

import ctypes
import gc
import sys


def release_freed_memory() -> None:
    """Free what only refers to itself, and give back what is free then. Making models takes several
    copies of the weights, which the steps of a run would not use again."""
    gc.collect()
    give_back_freed_memory()


def give_back_freed_memory() -> None:
    """Let glibc give back what is free now. Elsewhere than on glibc this does nothing."""
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
