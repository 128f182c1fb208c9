"""Messages of ONNX Runtime, whose exceptions have no common base."""

from __future__ import annotations

import re

_OUT_OF_MEMORY = re.compile("allocate memory|bad_alloc|out of memory|smaller than requested")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def is_out_of_memory(message: str) -> bool:
    """Return whether a message is about a failed allocation."""
    return bool(_OUT_OF_MEMORY.search(message))
