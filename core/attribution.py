"""Attribution of errors to the plugin whose code failed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .errors import PluginError, StylectlError
from .shown import error_line

#: Messages of a failed allocation in a plain RuntimeError: torch's on the CPU and on MPS, and those
#: of ONNX Runtime's arenas.
_ALLOCATION_FAILED = re.compile(
    r"DefaultCPUAllocator: (can't allocate|not enough) memory"
    r"|(CUDA|MPS backend) out of memory"
    r"|Failed to allocate memory for requested buffer"
    r"|std::bad_alloc"
)

#: Label of the plugin whose code runs; "" for stylectl's own.
_LABEL: ContextVar[str] = ContextVar("label", default="")


def current_label() -> str:
    """Return the label of the plugin whose code runs, or "" outside of plugins."""
    return _LABEL.get()


@contextmanager
def labelled(label: str) -> Iterator[None]:
    """State that the code in this context belongs to the plugin with the `label`."""
    token = _LABEL.set(label)
    try:
        yield
    finally:
        _LABEL.reset(token)


@contextmanager
def attributed_to(label: str) -> Iterator[None]:
    """Turn an error of a plugin's code into PluginError with the plugin's `label`.

    StylectlError and failed allocations pass unchanged.
    """
    try:
        with labelled(label):
            yield
    except StylectlError:
        raise
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        raise PluginError(f"{label} failed: {error_line(error)}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the error is a failed allocation, on the host or on a device."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_ALLOCATION_FAILED.search(str(error)))
