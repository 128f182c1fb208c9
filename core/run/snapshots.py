"""Snapshots of a run, for writers that show it, on disk until the outputs are written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image
from torch import Tensor

from ..interfaces.events import Event, Listener, Notice, RunStarted, StepDone
from ..interfaces.result import Snapshot
from ..sizes.fitting import fit

#: Longest side of a snapshot in pixels, as much as a film can use; larger images are reduced.
LARGEST_SIDE = 1920


@dataclass(frozen=True)
class _StoredSnapshot:
    scale: int
    step: int
    seconds: float
    file: Path


class SnapshotRecorder:
    """A listener that stores about `wanted` images of a run, evenly spread, until it is closed.

    If an image cannot be stored, for instance on a full disk, `listener` gets a notice and no
    further images are stored; the run continues.
    """

    def __init__(self, wanted: int, listener: Listener) -> None:
        self._wanted, self._listener = wanted, listener
        self._folder = tempfile.TemporaryDirectory(prefix="stylectl-") if wanted else None
        self._stored: list[_StoredSnapshot] = []
        self._seen, self._expected = 0, 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._folder:
            self._folder.cleanup()

    @property
    def snapshots(self) -> Iterable[Snapshot]:
        """Stored snapshots, in the order of the run; iteration reads them from disk one by one."""
        return _Snapshots(tuple(self._stored))

    def listen(self, event: Event) -> None:
        """Handle an event of the run."""
        match event:
            case RunStarted():
                self._expected = sum(scale.steps + 1 for scale in event.scales)
            case StepDone() if self._folder:
                if self._is_due():
                    self._store(event, Path(self._folder.name))
                self._seen += 1

    def _is_due(self) -> bool:
        """Return whether this step is the first in one of `wanted` equal parts of all steps."""
        previous_part, part = (
            (self._seen + offset) * self._wanted // self._expected for offset in (-1, 0)
        )
        return self._wanted > 0 and previous_part != part

    def _store(self, event: StepDone, folder: Path) -> None:
        file = folder / f"{len(self._stored):06d}.png"
        try:
            _reduced(event.image).save(file, compress_level=1)
        except OSError as error:
            self._wanted = 0
            self._listener(
                Notice(f"no more snapshots can be stored in {folder} ({error.strerror})")
            )
        else:
            self._stored.append(_StoredSnapshot(event.scale, event.step, event.seconds, file))


@dataclass(frozen=True)
class _Snapshots:
    stored: tuple[_StoredSnapshot, ...]

    def __len__(self) -> int:
        return len(self.stored)

    def __iter__(self) -> Iterator[Snapshot]:
        for stored in self.stored:
            with Image.open(stored.file) as image:
                yield Snapshot(stored.scale, stored.step, stored.seconds, np.asarray(image))


def _reduced(image: Tensor) -> Image.Image:
    pixels = image[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    snapshot = Image.fromarray(pixels)
    height, width = fit((snapshot.height, snapshot.width), LARGEST_SIDE)
    return snapshot if snapshot.size == (width, height) else snapshot.resize((width, height))
