"""`stylectl show`: how a picture was made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    picture: Annotated[Path, typer.Argument(help="A PNG that stylectl wrote.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Everything that the picture carries, as JSON.")
    ] = False,
) -> None:
    """Print the job of a picture as TOML, with its figures as comments.

    The output is a job file: stylectl show PICTURE.png > job.toml; stylectl run --job job.toml
    """
    import json

    from ..core.jobfile import job_toml, read_job_file, read_png_record
    from ..core.options import build_job

    record = read_png_record(picture)
    if as_json:
        typer.echo(json.dumps(record))
        return
    job = build_job({}, read_job_file(picture))
    for key in (
        "versions",
        "inputs",
        "final_loss",
        "iterations",
        "seconds",
        "backend",
        "device",
        "details",
    ):
        typer.echo(f"# {key}: {json.dumps(record.get(key))}")
    typer.echo(job_toml(job), nl=False)
