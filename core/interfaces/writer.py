"""Interface of writers, which turn a result into a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .result import Result, Snapshot

#: Key of the record, as JSON, in files whose format can carry text.
RECORD_KEY = "stylectl"


class Writer(ABC):
    """Writer of one file format; it has no access to the optimizer."""

    #: Requested number of snapshots, spread evenly over the run's steps.
    snapshots: int = 0

    @abstractmethod
    def write(
        self, result: Result, snapshots: Iterable[Snapshot], path: Path, record: dict[str, Any]
    ) -> None:
        """Write the file at `path`, a temporary name that the caller moves into place.

        `snapshots` are read one by one and may be iterated over again; their number is about the
        requested one, or more, since writers share them. `record` is for formats that can carry
        text: how the result was made, ready for JSON, with paths relative to the output's folder;
        `record["job"]` makes the result again. Raises OutputError, or OSError from the system.
        """
