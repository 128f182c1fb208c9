"""stdout and stderr of the program: what cannot be written to them ends no work."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO, cast


class Stream:
    """Text stream that goes quiet when it cannot be written to.

    That is so when its reader has left, as that of ``2>&1 | head -2``, when the disk of the file
    behind it is full, or when its terminal was closed. `failure` is then the error.

    `data` is the stream for what another program reads. After `keep_for_data` it is one of its own,
    and all else that is written to stdout goes to stderr: text of plugins, of libraries and of
    processes that they start.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: Exception | None = None
        self.data: Stream = self

    def keep_for_data(self) -> None:
        """Keep the file behind the stream for `data` alone."""
        if self.data is not self:
            return
        try:
            descriptor = os.dup(self._stream.fileno())
            os.dup2(sys.stderr.fileno(), self._stream.fileno())
        except (OSError, ValueError):  # closed
            return
        self.data = Stream(os.fdopen(descriptor, "w", encoding=self._stream.encoding))

    def write(self, text: str) -> int:
        """Write the text, if that is possible."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:
            self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, if that is possible."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._fail(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _fail(self, error: Exception) -> None:
        """Keep the first error, and let all that follows go to the null device.

        That includes the text in the buffer, which Python writes at its exit.
        """
        if self.failure is not None:
            return
        self.failure = error
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
        except (OSError, ValueError):  # closed
            self._stream = io.StringIO()


def guard_streams() -> Stream:
    """Replace the process's stdout and stderr by streams that go quiet; return that of stdout.

    Characters that their encoding lacks are written as escapes.
    """
    _open_closed_descriptors()
    stdout, stderr = (Stream(stream or io.StringIO()) for stream in (sys.stdout, sys.stderr))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = cast(TextIO, stdout), cast(TextIO, stderr)
    return stdout


def _open_closed_descriptors() -> None:
    """Open the null device for the standard streams that the caller has closed.

    Otherwise the next file to be opened would get the number of one of them, and a library's
    message to stderr would end up in an image.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
