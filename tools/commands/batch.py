"""`stylectl batch`: many results into one folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ...core.errors import UsageError
from ..console import shared_flags
from ..console.options import with_job_options


@with_job_options()
def command(
    options: dict[str, Any],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder for the results, which are PNGs.")
    ],
    contents: Annotated[
        Path | None, typer.Option(help="A folder of content images, or a single one.")
    ] = None,
    styles: Annotated[
        Path | None, typer.Option(help="A folder of style images, or a single one.")
    ] = None,
    pairs: Annotated[
        Literal["all", "zip"] | None,
        typer.Option(
            help="all (default): each content image with each style image; zip: the first with "
            "the first and so on, by name."
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Instead of the folders: a CSV file with the header "
            "content,style[,output][,OPTION].., or a TOML file with a table in the array pictures "
            "for each result, with a job's keys."
        ),
    ] = None,
    settings: shared_flags.Set = None,
    preset: shared_flags.Preset = None,
    job: shared_flags.Job = None,
    no_plugin: shared_flags.NoPlugin = None,
    plugins_dir: shared_flags.PluginsDir = None,
    checkpoint: shared_flags.Checkpoint = None,
    no_checkpoint: shared_flags.NoCheckpoint = False,
    checkpoint_every: shared_flags.CheckpointEvery = None,
    as_json: shared_flags.AsJson = False,
) -> int:
    """Paint many results into one folder.

    Finished results are skipped, so that the same command resumes after Ctrl-C. Several batches
    that run at the same time share the work. A failed result is reported at the end and does not
    stop the others.
    """
    if manifest and (contents or styles or pairs):
        raise UsageError("with --manifest, --contents, --styles and --pairs have no effect")
    if not manifest and not (contents and styles):
        raise UsageError("give --contents and --styles, or a --manifest")
    kept = shared_flags.checkpoint_choice(checkpoint, no_checkpoint)
    from ...core.run.record import read_job_file
    from ...plugins.manager import load_plugins
    from ..console.queue_progress import queue_progress
    from ..console.signals import stop_signals
    from ..queue.folders import folder_tasks
    from ..queue.manifest import manifest_tasks
    from ..queue.saving import read_saving
    from ..queue.settings import fixed, read_settings
    from ..queue.tasks import TaskMaker, check_paths
    from ..queue.worker import run_tasks

    flags = options | ({"preset": preset} if preset else {})
    plugins = load_plugins(no_plugin or [], folders=plugins_dir or [])
    models = plugins.registry.option_models
    common = fixed(read_settings(settings or [], models), flags)
    maker = TaskMaker(plugins.registry, read_job_file(job) if job else None)
    if manifest:
        tasks = manifest_tasks(manifest, output, common, maker)
    else:
        assert contents
        assert styles
        tasks = folder_tasks(contents, styles, pairs or "all", output, common, maker)
    check_paths(tasks)
    with stop_signals() as stops, queue_progress("result") as show:
        saving = read_saving(
            kept,
            checkpoint_every,
            stops=stops,
            no_plugin=no_plugin or (),
            plugins_dir=plugins_dir or (),
        )
        report = run_tasks(tasks, plugins, show, saving)
    if as_json:
        typer.echo(json.dumps(report.summary()))
    return report.exit_code
