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
    from ...core.job.paths import JobFile
    from ...core.outputs.targets import Target
    from ...plugins.manager import load_plugins
    from ..console.signals import stop_signals
    from ..queue.saving import read_saving
    from .run import paint

    stored = _chosen(checkpoints_in(checkpoint), output)
    request = stored.header.request
    folders = [Path(folder) for folder in request.plugins_dir]
    plugins = load_plugins(request.no_plugin, folders=folders)
    file = JobFile(stored.header.job, Path(request.folder))
    job = build_job({}, file.here(plugins.registry.option_models))
    outputs = [
        Target(_shortened(Path(path)), request.chosen_writers.get(path)) for path in request.outputs
    ]
    with stop_signals() as stops:
        saving = read_saving(
            checkpoint or True,
            checkpoint_every,
            request.save_every,
            stops,
            writers=request.writers,
            no_plugin=request.no_plugin,
            plugins_dir=folders,
            default_name=request.default_name,
            resumed=stored,
        )
        return paint(job, plugins, outputs, request.writers, saving, as_json)


def _shortened(path: Path) -> Path:
    """Return the path relative to the current folder if it is in it."""
    return Path(os.path.relpath(path)) if path.is_relative_to(Path.cwd()) else path


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
