"""Checkpoints and stills of runs, as commands and the Python API state them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...core.checkpoints.folder import StoredCheckpoint, checkpoints_in
from ...core.checkpoints.format import Request
from ...core.errors import UsageError
from ...core.job.options.text import seconds_of
from ...core.run.checkpointing import Checkpointing
from ...core.run.job_run import Saving
from ...core.run.stills import SaveEvery
from ...core.stopping import StopRequests

#: Seconds between two checkpoints, unless set.
CHECKPOINT_EVERY = 60.0


def read_saving(
    checkpoint: bool | str | Path,
    checkpoint_every: float | str | None = None,
    save_every: int | str | None = None,
    stops: StopRequests | None = None,
    *,
    writers: Mapping[str, Mapping[str, Any]] = {},
    no_plugin: Collection[str] = (),
    plugins_dir: Collection[Path] = (),
    default_name: bool = False,
    resumed: StoredCheckpoint | None = None,
) -> Saving:
    """Return the checkpoints and stills of a run.

    `checkpoint` is False for no checkpoints, True for the user's folder, or a folder.
    `checkpoint_every` is a time (see `seconds_of`); `save_every` is read by `SaveEvery.read`. The
    other values are part of the checkpoint, for `stylectl resume`.

    Raises UsageError for values that cannot be read, or that have no effect.
    """
    every = None if save_every is None else SaveEvery.read(save_every)
    saving = Saving(every=every, stops=stops or StopRequests())
    if checkpoint is False:
        if checkpoint_every is not None:
            raise UsageError("`checkpoint_every` has no effect: no checkpoints are kept")
        return saving
    seconds = CHECKPOINT_EVERY
    if checkpoint_every is not None:
        number = isinstance(checkpoint_every, int | float) and checkpoint_every >= 0
        text = str(checkpoint_every)
        seconds = float(text) if number else seconds_of("checkpoint_every", text)
    request = Request(
        folder=os.fspath(Path.cwd()),
        default_name=default_name,
        writers={name: dict(options) for name, options in writers.items()},
        save_every=None if save_every is None else str(save_every),
        no_plugin=tuple(no_plugin),
        plugins_dir=tuple(str(folder.resolve()) for folder in plugins_dir),
    )
    folder = checkpoints_in(None if checkpoint is True else checkpoint)
    return replace(saving, checkpoints=Checkpointing(folder, seconds, request, resumed))
