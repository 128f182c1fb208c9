"""The messages of libtiff, by which Pillow decodes TIFF files."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_LOCK = threading.Lock()


@contextmanager
def silent_libtiff() -> Iterator[None]:
    """Discard what is written to the process's stderr.

    libtiff prints its messages there, and Pillow offers no other way to stop it. They repeat, in
    words for programmers, what Pillow raises afterwards.
    """
    with _LOCK:
        try:
            stderr = os.dup(_STDERR)
        except OSError:  # closed: nothing is shown
            yield
            return
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, _STDERR)
            os.close(null)
            yield
        finally:
            os.dup2(stderr, _STDERR)
            os.close(stderr)
