"""Snapshots of a run, for writers that show it: kept on disk until the outputs are written."""

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

#: Long side, in pixels, beyond which a snapshot is made smaller: as much as a film can use.
LARGEST_SIDE = 1920


@dataclass(frozen=True)
class _Kept:
    scale: int
    step: int
    seconds: float
    file: Path


class SnapshotRecorder:
    """A listener that keeps about `wanted` images of a run, evenly spread, until it is closed.

    If one cannot be kept, on a full disk for instance, `listener` gets a notice, and no more are;
    the run continues.
    """

    def __init__(self, wanted: int, listener: Listener) -> None:
        self._wanted, self._listener = wanted, listener
        self._folder = tempfile.TemporaryDirectory(prefix="stylectl-") if wanted else None
        self._kept: list[_Kept] = []
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
        """Those that were kept; each is read from the disk when its turn comes."""
        return _Snapshots(tuple(self._kept))

    def listen(self, event: Event) -> None:
        """Handle an event of the run."""
        match event:
            case RunStarted():
                self._expected = sum(scale.steps + 1 for scale in event.scales)
            case StepDone() if self._folder:
                if self._is_due():
                    self._keep(event, Path(self._folder.name))
                self._seen += 1

    def _is_due(self) -> bool:
        """Whether the place among all steps is the first of one of `wanted` equal parts."""
        before, now = ((self._seen + n) * self._wanted // self._expected for n in (-1, 0))
        return self._wanted > 0 and before != now

    def _keep(self, event: StepDone, folder: Path) -> None:
        file = folder / f"{len(self._kept):06d}.png"
        try:
            _small(event.image).save(file, compress_level=1)
        except OSError as error:
            self._wanted = 0
            self._listener(Notice(f"no more snapshots can be kept in {folder} ({error.strerror})"))
        else:
            self._kept.append(_Kept(event.scale, event.step, event.seconds, file))


@dataclass(frozen=True)
class _Snapshots:
    kept: tuple[_Kept, ...]

    def __len__(self) -> int:
        return len(self.kept)

    def __iter__(self) -> Iterator[Snapshot]:
        for kept in self.kept:
            with Image.open(kept.file) as image:
                yield Snapshot(kept.scale, kept.step, kept.seconds, np.asarray(image))


def _small(image: Tensor) -> Image.Image:
    pixels = image[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    snapshot = Image.fromarray(pixels)
    height, width = fit((snapshot.height, snapshot.width), LARGEST_SIDE)
    return snapshot if snapshot.size == (width, height) else snapshot.resize((width, height))
