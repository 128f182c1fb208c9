"""The messages of libtiff, by which Pillow decodes TIFF files."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO

_STDERR = 2
_LOCK = threading.Lock()
#: A message: the function that failed, or the file's name in Pillow, and what is wrong.
_MESSAGE = re.compile(rb"(?!stylectl)\w+(?:\.tif)?: .+")


@contextmanager
def libtiff_messages() -> Iterator[list[str]]:
    """Yield a list, which has libtiff's messages at the end of the context.

    libtiff prints them to the process's stderr, and Pillow offers no other way to get them. It
    decodes some damaged files in spite of them. What other threads print meanwhile is shown a
    moment later.
    """
    messages: list[str] = []
    with _LOCK, ExitStack() as stack:
        try:
            printed = stack.enter_context(tempfile.TemporaryFile())
            stderr = os.dup(_STDERR)
        except OSError:  # no space for temporary files, or stderr is closed
            yield messages
            return
        os.dup2(printed.fileno(), _STDERR)
        try:
            yield messages
        finally:
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            messages += _sorted_out(printed)


def _sorted_out(printed: IO[bytes]) -> list[str]:
    """Return libtiff's messages from what was printed, and print the rest."""
    printed.seek(0)
    messages = []
    for line in printed.read().splitlines(keepends=True):
        if _MESSAGE.fullmatch(line.rstrip()):
            messages.append(line.decode("utf-8", "replace").strip())
        else:
            with suppress(OSError):
                os.write(_STDERR, line)
    return messages
