"""`stylectl batch`: many results into one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ...core.errors import UsageError
from ..console import shared_flags
from ..console.options import with_job_options
from ..console.printing import print_json, print_line

if TYPE_CHECKING:
    from ..queue.events import Task

#: Files that a message lists at most; further ones are counted.
_MOST_LISTED = 10


@with_job_options()
def command(
    options: dict[str, Any],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            parser=shared_flags.path_of,
            metavar="DIR",
            help="The folder for the results, which are PNGs.",
        ),
    ],
    contents: Annotated[
        Path | None,
        typer.Option(
            parser=shared_flags.path_of,
            metavar="DIR",
            help="A folder of content images, or a single one.",
        ),
    ] = None,
    styles: Annotated[
        Path | None,
        typer.Option(
            parser=shared_flags.path_of,
            metavar="DIR",
            help="A folder of style images, or a single one.",
        ),
    ] = None,
    pairs: Annotated[
        Literal["all", "zip"] | None,
        typer.Option(
            help="all (default): each content image with each style image; zip: the first with "
            "the first and so on, by name."
        ),
    ] = None,
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive",
            help="Read the subfolders of both folders too; the output folder mirrors them.",
        ),
    ] = False,
    manifest: Annotated[
        Path | None,
        typer.Option(
            parser=shared_flags.path_of,
            metavar="FILE",
            help="Instead of the folders: a CSV file with the header "
            "content,style[,output][,OPTION].., or a TOML file with a table in the array pictures "
            "for each result, with a job's keys.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="List the results with their states, and paint nothing."),
    ] = False,
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
    if manifest and (contents or styles or pairs or recursive):
        raise UsageError(
            "with --manifest, --contents, --styles, --pairs and --recursive have no effect"
        )
    if not manifest and not (contents and styles):
        raise UsageError("give --contents and --styles, or a --manifest")
    kept = shared_flags.checkpoint_choice(checkpoint, no_checkpoint)
    from ...core.interfaces.events import Notice
    from ...core.outputs.record import read_job_file
    from ...plugins.manager import load_plugins
    from ..console.queue_progress import queue_progress
    from ..console.signals import stop_signals
    from ..queue.folders import find_images, folder_tasks
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
    left_out: tuple[Path, ...] = ()
    if manifest:
        tasks = manifest_tasks(manifest, output, common, maker)
    else:
        assert contents
        assert styles
        photos = find_images("--contents", contents, recursive)
        paintings = find_images("--styles", styles, recursive)
        left_out = photos.left_out + paintings.left_out
        tasks = folder_tasks(photos, paintings, pairs or "all", output, common, maker)
    check_paths(tasks, [job, manifest])
    if dry_run:
        _list(tasks, left_out, as_json)
        return 0
    with stop_signals() as stops, queue_progress("result") as show:
        if left_out:
            show(Notice(_left_out(left_out)))
        saving = read_saving(
            kept,
            checkpoint_every,
            stops=stops,
            no_plugin=no_plugin or (),
            plugins_dir=plugins_dir or (),
        )
        report = run_tasks(tasks, plugins, show, saving)
    if as_json:
        print_json(report.summary())
    return report.exit_code


def _list(tasks: Sequence[Task], left_out: Sequence[Path], as_json: bool) -> None:
    """Print what a batch would do."""
    from ..queue.worker import states_of

    states = states_of(tasks)
    if as_json:
        results = [
            {"output": str(task.path), "label": task.label, "state": state}
            for task, state in zip(tasks, states, strict=True)
        ]
        print_json({"results": results, "left_out": [str(path) for path in left_out]})
        return
    for task, state in zip(tasks, states, strict=True):
        print_line(f"{_STATES[state]:8}  {task.path}  {task.label}")
    if left_out:
        print_line(_left_out(left_out))
    to_paint = sum(state != "finished" for state in states)
    print_line(f"{len(tasks)} results: {to_paint} to paint, {len(tasks) - to_paint} finished")


#: State of a result -> the word for it in the list.
_STATES = {"missing": "new", "finished": "finished", "interrupted": "again", "other": "again"}


def _left_out(paths: Sequence[Path]) -> str:
    names = ", ".join(str(path) for path in paths[:_MOST_LISTED])
    more = f" and {len(paths) - _MOST_LISTED} more" if len(paths) > _MOST_LISTED else ""
    return f"left out: {names}{more}; images are read, and subfolders with --recursive"
