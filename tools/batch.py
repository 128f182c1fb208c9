"""`stylectl batch`: many pictures into one folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..core.errors import UsageError


def command(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder for the pictures, which are PNGs.")
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
            help="all (default): each content with each style; zip: the first with the first and "
            "so on, by name."
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Instead of the folders: a CSV with the header content,style[,output][,OPTION].., "
            "or a TOML file with a table [[pictures]] for each, with a job's keys."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="An option of stylectl run for all pictures, such as size=1024; may be given "
            "several times.",
        ),
    ] = None,
    job: Annotated[
        Path | None,
        typer.Option(help="A job file for all pictures: TOML, or a PNG that stylectl wrote."),
    ] = None,
    no_plugin: Annotated[
        list[str] | None, typer.Option(help="Leave a plugin out; may be given several times.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one line of JSON on stdout.")
    ] = False,
) -> int:
    """Paint many pictures into a folder.

    Pictures that are finished are skipped, so that the same command goes on after Ctrl-C; several
    batches at once share the work. One that fails is told at the end and stops no other.
    """
    if manifest and (contents or styles or pairs):
        raise UsageError("with --manifest, --contents, --styles and --pairs have no effect")
    if not manifest and not (contents and styles):
        raise UsageError("give --contents and --styles, or a --manifest")
    from ..core.jobfile import read_job_file
    from ..plugins.manager import load_plugins
    from .manifest import manifest_tasks
    from .pairs import pair_tasks
    from .queue_progress import queue_progress
    from .settings import fixed, read_settings
    from .tasks import check_paths, paint_all

    options = fixed(read_settings(settings or []))
    file = read_job_file(job) if job else None
    plugins = load_plugins(no_plugin or [])
    if manifest:
        tasks = manifest_tasks(manifest, output, options, file, plugins.registry)
    else:
        assert contents
        assert styles
        chosen = pairs or "all"
        tasks = pair_tasks(contents, styles, chosen, output, options, file, plugins.registry)
    check_paths(tasks)
    with queue_progress("picture") as show:
        report = paint_all(tasks, plugins, show)
    if as_json:
        typer.echo(json.dumps(report.summary()))
    return report.exit_code
