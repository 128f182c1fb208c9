"""`stylectl resume`: go on with an unfinished run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.errors import UsageError
from ..console import shared_flags

if TYPE_CHECKING:
    from ...core.checkpoints.folder import Checkpoints, StoredCheckpoint


def command(
    output: Annotated[
        Path | None,
        typer.Argument(help="An output of the run. Without it: of the last checkpoint's run."),
    ] = None,
    checkpoint: shared_flags.Checkpoint = None,
    checkpoint_every: shared_flags.CheckpointEvery = None,
    as_json: shared_flags.AsJson = False,
) -> int:
    """Go on with an unfinished run from its checkpoint, to the same pixels.

    stylectl list checkpoints shows the checkpoints. The command that began the run does the same.
    """
    from ...core.checkpoints.folder import checkpoints_in
    from ...core.job.building import build_job
    from ...core.job.paths import map_paths, relocated
    from ...plugins.manager import load_plugins
    from ..console.signals import stop_signals
    from ..queue.saving import read_saving
    from .run import paint

    stored = _chosen(checkpoints_in(checkpoint), output)
    header = stored.header
    began_in, here = Path(header.request.folder), Path.cwd()
    job = build_job({}, map_paths(header.job, lambda path: relocated(path, began_in, here)))
    paths = [Path(path) for path in header.request.outputs]
    outputs = [Path(os.path.relpath(path)) if path.is_relative_to(here) else path for path in paths]
    with stop_signals() as stops:
        saving = read_saving(
            checkpoint or True,
            checkpoint_every,
            header.request.save_every,
            stops,
            writers=header.request.writers,
            no_plugin=header.request.no_plugin,
            default_name=header.request.default_name,
            resumed=stored,
        )
        plugins = load_plugins(header.request.no_plugin)
        return paint(job, plugins, outputs, header.request.writers, saving, as_json)


def _chosen(checkpoints: Checkpoints, output: Path | None) -> StoredCheckpoint:
    """Return the last checkpoint of an output, or of all. Raises UsageError if there is none."""
    for stored in checkpoints.stored():
        if output is None:
            if not checkpoints.in_use(stored.folder):
                return stored
        elif str(output.resolve()) in stored.header.request.outputs:
            return stored
    what = "to resume" if output is None else f"of {output}"
    raise UsageError(
        f"there is no checkpoint {what} in {checkpoints.folder}; "
        "stylectl list checkpoints shows those that there are"
    )
