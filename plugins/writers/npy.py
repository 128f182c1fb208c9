"""Pixels as a NumPy array."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ...core.interfaces.result import Result, Snapshot
from ...core.interfaces.specs import NoOptions, WriterSpec
from ...core.interfaces.writer import Writer
from ..hookspecs import hookimpl
from .pixels import channels


class NPYWriter(Writer):
    """Array (H, W, 3), or (H, W, 4) with transparency; float32 in [0, 1], sRGB-encoded."""

    def __init__(self, options: NoOptions) -> None:
        pass

    def write(
        self, result: Result, snapshots: Iterable[Snapshot], path: Path, record: dict[str, Any]
    ) -> None:
        """See Writer.write."""
        # Given a name, np.save would append a second suffix to one in capitals.
        with path.open("wb") as file:
            np.save(file, channels(result).astype(np.float32), allow_pickle=False)


@hookimpl
def stylectl_writers() -> Iterable[WriterSpec]:
    """Yield the writer `npy`."""
    yield WriterSpec(
        name="npy",
        summary="numpy array, float32",
        suffixes=(".npy",),
        create=NPYWriter,
        keeps_alpha=True,
    )
