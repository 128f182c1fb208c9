"""Pixels as a NumPy array."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ...core.interfaces.specs import NoOptions, WriterArguments, WriterSpec
from ...core.interfaces.writer import Writer, WriteRequest
from .. import hooks
from .pixels import channels


class NPYWriter(Writer):
    """Array (H, W, 3), or (H, W, 4) with transparency; float32 in [0, 1], sRGB-encoded."""

    def __init__(self, arguments: WriterArguments[NoOptions]) -> None:
        pass

    def write(self, request: WriteRequest) -> None:
        """See Writer.write."""
        result, path = request.result, request.path
        # Given a name, np.save would append a second suffix to one in capitals.
        with path.open("wb") as file:
            np.save(file, channels(result).astype(np.float32), allow_pickle=False)


@hooks.writers
def writers() -> Iterable[WriterSpec[Any]]:
    """Yield the writer `npy`."""
    yield WriterSpec(
        name="npy",
        summary="numpy array, float32",
        suffixes=(".npy",),
        create=NPYWriter,
        options=NoOptions,
        keeps_alpha=True,
    )
