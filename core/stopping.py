"""Requests to stop a run, such as signals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class StopRequests:
    """Source of requests to stop; this one has none of its own.

    A request raises KeyboardInterrupt, or a subclass, wherever the program is, but not inside of
    `deferred`, where files are written.
    """

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold back requests."""
        yield

    def raise_deferred(self) -> None:
        """Raise the KeyboardInterrupt of a request that was held back, if there was one."""
