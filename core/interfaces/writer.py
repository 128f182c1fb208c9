"""Interface of writers, which turn a result into a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any

from ..deprecation import warn_deprecated
from .result import Result, Snapshot

#: Key of the record, as JSON, in files whose format can carry text.
RECORD_KEY = "stylectl"


@dataclass(frozen=True, kw_only=True)
class WriteRequest:
    """Argument of `Writer.write`: a result, and the file to write.

    - `result`: image (H, W, 3), float32 in [0, 1], and how it was made.
    - `snapshots`: intermediate images of the run. They are read one by one and may be iterated over
      again; their number is about the requested one, or more, since writers share them.
    - `path`: a temporary name, which the caller moves into place.
    - `record`: how the result was made, ready for JSON, with paths relative to the output's folder;
      ``record["job"]`` makes the result again. For formats that can carry text.
    """

    result: Result
    snapshots: Iterable[Snapshot]
    path: Path
    record: dict[str, Any]


class Writer(ABC):
    """Writer of one file format; it has no access to the optimizer."""

    #: Requested number of snapshots, spread evenly over the run's steps.
    snapshots: int = 0

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        write = cls.__dict__.get("write")
        if callable(write) and _is_former(write):
            warn_deprecated(
                "write(result, snapshots, path, record) of a Writer",
                "take one argument, a WriteRequest with these fields",
            )
            cls.write = _adapted(write)  # type: ignore[method-assign]

    @abstractmethod
    def write(self, request: WriteRequest) -> None:
        """Write the file at `request.path`. Raises OutputError, or OSError from the system."""


def _is_former(write: Callable[..., Any]) -> bool:
    """Return whether a method takes the four arguments of version 0.1."""
    try:
        signature(write).bind(*range(5))
    except (TypeError, ValueError):
        return False
    try:
        signature(write).bind(*range(2))
    except TypeError:
        return True
    return False


def _adapted(write: Callable[..., None]) -> Callable[..., None]:
    @wraps(write)
    def adapted(self: Writer, *arguments: Any) -> None:
        match arguments:
            case (WriteRequest() as request,):
                write(self, request.result, request.snapshots, request.path, request.record)
            case _:  # from the `write` of a subclass, by super()
                write(self, *arguments)

    return adapted
