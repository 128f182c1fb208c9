"""Sizes of memory with units, such as ``4GB``."""

from __future__ import annotations

import re

_UNITS = {
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}


def bytes_of(text: str) -> int:
    """Return the bytes of a size: ``4GB`` is 4 * 10^9, ``1.5 GiB`` is 1.5 * 2^30.

    Raises ValueError for text that is not a size, and for a size of zero.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]I?B)", text.strip().upper())
    size = round(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size == 0:
        raise ValueError("should be a size such as 4GB or 800MB")
    return size
