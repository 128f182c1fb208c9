"""`stylectl sweep`: a contact sheet of one job with different settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import UsageError


def command(
    output: Annotated[Path, typer.Option("--output", "-o", help="The sheet, a PNG.")],
    photo: Annotated[str | None, typer.Argument(help="The content image.")] = None,
    paintings: Annotated[
        list[str] | None, typer.Argument(metavar="PAINTING...", help="One or more style images.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE[,VALUE]...",
            help="An option of stylectl run, such as style_weight=3,30 or preset=draft. Several "
            "values make an axis, one holds for all cells; + stands between parts of one value. "
            "May be given several times.",
        ),
    ] = None,
    job: Annotated[
        Path | None,
        typer.Option(help="A job file: TOML, or a PNG that stylectl wrote. --set overrides it."),
    ] = None,
    cell_size: Annotated[
        int, typer.Option(min=16, help="Long side of a cell on the sheet in pixels, at most.")
    ] = 512,
    no_plugin: Annotated[
        list[str] | None, typer.Option(help="Leave a plugin out; may be given several times.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one line of JSON on stdout.")
    ] = False,
) -> int:
    """Paint PHOTO with every combination of settings, and draw a labeled grid of the pictures.

    The cells are kept beside the sheet: after Ctrl-C the same command paints only what is missing.
    """
    from ..core.jobfile import read_job_file
    from ..plugins.manager import load_plugins
    from .many import paint_sheet
    from .queue_progress import queue_progress
    from .settings import read_settings

    axes = read_settings(settings or [])
    keys = {each.key for each in axes}
    if photo and not paintings and "styles" not in keys:
        raise UsageError(
            "a photo needs a painting: stylectl sweep PHOTO PAINTING, or --set styles=A,B"
        )
    images = {"content": photo, "styles": paintings or None}
    options = {name: value for name, value in images.items() if value}
    if twice := sorted(options.keys() & keys):
        raise UsageError(f"--set {twice[0]} has no effect: the images are given as arguments")
    file = read_job_file(job) if job else None
    plugins = load_plugins(no_plugin or [])
    with queue_progress("cell") as show:
        report = paint_sheet(axes, options, file, output, cell_size, plugins, show)
    sheet = None if report.interrupted else str(output)
    if as_json:
        typer.echo(json.dumps({"sheet": sheet, **report.summary()}))
    elif sheet:
        typer.echo(f"wrote {sheet}")
    return report.exit_code
