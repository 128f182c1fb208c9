"""Job files: TOML, or a PNG that stylectl wrote, which carries its job as text."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
from PIL import Image

from .errors import UsageError
from .files import status_of
from .images import unlimited_pillow
from .job import Job, map_paths, moved

#: Key of the PNG's text chunk.
PNG_KEY = "stylectl"

_MOST_BYTES = 1_000_000


def read_job_file(path: Path) -> dict[str, Any]:
    """A job's plain values, with its paths relative to the current folder.

    Raises UsageError for a missing or malformed file, or a PNG that carries no job.
    """
    if status_of(path) is None:
        raise UsageError(f"{path}: no such job file")
    table = read_png_record(path)["job"] if path.suffix.lower() == ".png" else _read_toml(path)
    return map_paths(table, lambda each: moved(each, path.parent.resolve(), Path.cwd()))


def job_toml(job: Job) -> str:
    """The job as TOML, ready to be a job file."""
    return tomli_w.dumps(job.as_table())


def read_png_record(path: Path) -> dict[str, Any]:
    """What a PNG by stylectl carries: its job, versions, inputs and figures, as plain values.

    Raises UsageError when it carries none, or one that cannot be understood.
    """
    if status_of(path) is None:
        raise UsageError(f"{path}: no such file")
    try:
        # Only the text before the pixels is read, whose size Pillow limits; the pixels may be many.
        with unlimited_pillow(), Image.open(path, formats=("PNG",)) as image:
            text = image.info.get(PNG_KEY)
    except (OSError, SyntaxError, ValueError):
        raise UsageError(f"{path}: not a PNG that can be read") from None
    if text is None:
        raise UsageError(f"{path}: carries no stylectl job")
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("job"), dict):
        raise UsageError(f"{path}: its stylectl job cannot be understood")
    return record


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise UsageError(f"{path}: too large for a job file")
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not a valid TOML file ({error})") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
