"""Sizes of memory, as people write them."""

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
    """``4GB`` is 4 * 10^9, ``1.5 GiB`` 1.5 * 2^30. Raises ValueError for anything else, and for
    nothing."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]I?B)", text.strip().upper())
    size = round(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size == 0:
        raise ValueError("should be a size such as 4GB or 800MB")
    return size
