"""`stylectl show`: how a result was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..console.printing import keep_stdout_for_data, print_json, print_toml
from ..console.shared_flags import path_of

_KEYS = (
    "versions",
    "inputs",
    "final_loss",
    "iterations",
    "seconds",
    "backend",
    "device",
    "details",
)


def command(
    picture: Annotated[
        Path,
        typer.Argument(
            parser=path_of, metavar="PICTURE", help="A PNG, a JSON or a video that stylectl wrote."
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole record of the result, as JSON.")
    ] = False,
) -> None:
    """Print the job of a result as TOML, with its figures as comments.

    The output is a job file: stylectl show PICTURE.png > job.toml; stylectl run --job job.toml
    (of a video: stylectl video --job job.toml).
    """
    from ...core.errors import UsageError
    from ...core.job.building import build_job
    from ...core.job.toml import job_toml, settings_toml
    from ...core.outputs.record import recorded_job
    from ...core.planning.requirements import check_installed
    from ...core.shown import one_line
    from ...plugins.manager import load_plugins
    from ..clips.records import read_any_record

    record = read_any_record(picture)
    if as_json:
        print_json(record)
        return
    keep_stdout_for_data(True)
    registry = load_plugins().registry
    file = recorded_job(record, picture)
    settings = file.table.get("video")
    table = {
        key: value for key, value in file.here(registry.option_models).items() if key != "video"
    }
    job = build_job({}, table, find_preset=registry.presets.get)
    comments = []
    try:
        check_installed(job.plugins.require, registry)
    except UsageError as error:
        comments.append(one_line(str(error)))
        comments.append("Paths in that plugin's options are relative to the file's folder.")
    # `metadata=job` leaves the figures out.
    comments += [f"{key}: {json.dumps(record[key])}" for key in _KEYS if key in record]
    print_toml("".join(f"# {comment}\n" for comment in comments) + job_toml(job))
    if settings:
        print_toml("\n" + settings_toml("video", settings))
