"""Memory of the host: what is free, and what this process holds."""

from __future__ import annotations

import psutil


def free_bytes() -> int:
    """Return the bytes that a process may allocate without swapping."""
    return int(psutil.virtual_memory().available)


def held_bytes() -> int:
    """Return the bytes that this process holds: code, the network's weights, images."""
    return int(psutil.Process().memory_info().rss)


def in_words(size: float) -> str:
    """Return a number of bytes in GB or MB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
