"""Writers: what turns a result into a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .result import Result, Snapshot

#: The key under which a file that can carry text has its record, as JSON.
RECORD_KEY = "stylectl"


class Writer(ABC):
    """Turns a result into a file of one kind. It never sees the optimizer."""

    #: How many pictures of the way it would like to get, spread evenly over the run's steps.
    snapshots: int = 0

    @abstractmethod
    def write(
        self, result: Result, snapshots: Iterable[Snapshot], path: Path, record: dict[str, Any]
    ) -> None:
        """Write the file at `path`, a temporary name that the caller moves into place.

        `snapshots` are read one by one and may be gone through again; they are about as many as the
        writer asked for, or more, since writers share them. `record` is for formats that can carry
        text: how the result was made, ready for JSON, with paths relative to the output's folder;
        `record["job"]` makes it again. Raises OutputError, or OSError as the system gives it.
        """
