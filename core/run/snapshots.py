"""Snapshots of a run, for writers that show it, on disk until the outputs are written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image
from torch import Tensor

from ..interfaces.events import Event, Listener, Notice, RunStarted, StepDone
from ..interfaces.result import Snapshot
from ..leftovers import remove_leftovers, temporary_folder
from ..sizes.fitting import fit

#: Longest side of a snapshot in pixels, as much as a film can use; larger images are reduced.
LARGEST_SIDE = 1920
#: Beginning of the names of folders for snapshots.
_PREFIX = "stylectl-"


@dataclass(frozen=True)
class SnapshotFile:
    """A snapshot in a PNG file; otherwise as `Snapshot`."""

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
        self._resources = ExitStack()
        self._folder: Path | None = None
        self._stored: list[SnapshotFile] = []
        self._seen, self._expected = 0, 1

    def __enter__(self) -> Self:
        if self._wanted:
            self._folder = self._resources.enter_context(temporary_folder(None, _PREFIX))
        else:
            remove_leftovers(Path(tempfile.gettempdir()), _PREFIX)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()

    @property
    def wanted(self) -> int:
        """Number of images that are stored, about; 0 after a failure."""
        return self._wanted

    @property
    def files(self) -> Sequence[SnapshotFile]:
        """Stored snapshots, in the order of the run."""
        return tuple(self._stored)

    @property
    def snapshots(self) -> Iterable[Snapshot]:
        """Stored snapshots, in the order of the run; iteration reads them from disk one by one."""
        return _Snapshots(self.files)

    def resume(self, files: Sequence[SnapshotFile], seen: int) -> None:
        """Continue after `seen` steps, starting points included, of which `files` were stored."""
        self._stored, self._seen = [*files], seen

    def listen(self, event: Event) -> None:
        """Handle an event of the run."""
        match event:
            case RunStarted():
                self._expected = sum(scale.steps + 1 for scale in event.scales)
            case StepDone() if self._folder:
                if self._is_due():
                    self._store(event, self._folder)
                self._seen += 1

    def _is_due(self) -> bool:
        """Return whether this step is the first in one of `wanted` equal parts of all steps."""
        previous_part, part = (
            (self._seen + offset) * self._wanted // self._expected for offset in (-1, 0)
        )
        return self._wanted > 0 and previous_part != part

    def _store(self, event: StepDone, folder: Path) -> None:
        file = folder / f"{event.scale}-{event.step}.png"
        try:
            _reduced(event.image).save(file, compress_level=1)
        except OSError as error:
            self._wanted = 0
            self._listener(
                Notice(f"no more snapshots can be stored in {folder} ({error.strerror})")
            )
        else:
            self._stored.append(SnapshotFile(event.scale, event.step, event.seconds, file))


@dataclass(frozen=True)
class _Snapshots:
    stored: Sequence[SnapshotFile]

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
