"""Laying what goes wrong in a plugin's code to the plugin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .errors import PluginError, StylectlError


@contextmanager
def blaming(whom: str) -> Iterator[None]:
    """Turns whatever a plugin's code raises into PluginError that names it. The program's own
    errors, and too little memory, which is nobody's fault, go on as they are."""
    try:
        yield
    except StylectlError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise PluginError(f"{whom} failed: {type(error).__name__}: {error}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed; torch says so on the CPU with a plain RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "allocate" in str(error)
