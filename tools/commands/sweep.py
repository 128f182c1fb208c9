"""`stylectl sweep`: a contact sheet of one job with different settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ...core.errors import UsageError
from ..console import shared_flags
from ..console.options import with_job_options
from ..console.printing import print_json, print_line


@with_job_options()
def command(
    options: dict[str, Any],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            parser=shared_flags.path_of,
            metavar="FILE",
            help="The contact sheet, a PNG.",
        ),
    ],
    photo: shared_flags.Photo = None,
    paintings: shared_flags.Paintings = None,
    settings: shared_flags.Axes = None,
    preset: shared_flags.Preset = None,
    job: shared_flags.Job = None,
    cell_size: Annotated[
        int, typer.Option(min=16, help="Long side of a cell on the sheet in pixels, at most.")
    ] = 512,
    no_plugin: shared_flags.NoPlugin = None,
    plugins_dir: shared_flags.PluginsDir = None,
    checkpoint: shared_flags.Checkpoint = None,
    no_checkpoint: shared_flags.NoCheckpoint = False,
    checkpoint_every: shared_flags.CheckpointEvery = None,
    as_json: shared_flags.AsJson = False,
) -> int:
    """Paint PHOTO with every combination of settings, and draw a labeled grid of the results.

    Flags hold for all cells. The cells are kept beside the sheet: after Ctrl-C the same command
    makes only the missing ones.
    """
    kept = shared_flags.checkpoint_choice(checkpoint, no_checkpoint)
    from ...core.outputs.record import read_job_file
    from ...plugins.manager import load_plugins
    from ..console.queue_progress import queue_progress
    from ..console.signals import stop_signals
    from ..queue.saving import read_saving
    from ..queue.settings import check_given_once, read_settings
    from ..queue.sheets.sheet import run_sheet

    plugins = load_plugins(no_plugin or [], folders=plugins_dir or [])
    models = plugins.registry.option_models
    axes = read_settings(settings or [], models)
    keys = {axis.key for axis in axes}
    if photo and not paintings and "styles" not in keys:
        raise UsageError(
            "a content image needs a style image: stylectl sweep PHOTO PAINTING, or "
            "--set styles=A,B"
        )
    images = {"content": photo, "styles": paintings or None}
    for name, value in images.items():
        if value and name in keys:
            raise UsageError(f"--set {name} has no effect: the images are given as arguments")
    for axis in axes:
        check_given_once(axis, options | ({"preset": preset} if preset else {}))
    common = options | {name: value for name, value in images.items() if value}
    common |= {"preset": preset} if preset else {}
    file = read_job_file(job) if job else None
    with stop_signals() as stops, queue_progress("cell") as show:
        saving = read_saving(
            kept,
            checkpoint_every,
            stops=stops,
            no_plugin=no_plugin or (),
            plugins_dir=plugins_dir or (),
        )
        report = run_sheet(axes, common, file, output, cell_size, plugins, show, saving)
    sheet = str(output) if report.has_sheet else None
    if as_json:
        print_json({"sheet": sheet, **report.summary()})
    elif sheet:
        print_line(f"wrote {sheet}")
    return report.exit_code
