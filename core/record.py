"""What a picture carries about how it was made, and whether it is the one that is wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .errors import UsageError
from .files import status_of
from .images import SAMPLES
from .job import Job, map_paths, moved
from .jobfile import read_png_record
from .result import Result

#: `other`: of another job or other images, or no picture of ours.
State = Literal["missing", "finished", "interrupted", "other"]


def record_for(result: Result, folder: Path) -> dict[str, Any]:
    """The record of a result whose file will lie in `folder`, to which its paths are relative."""

    def from_folder(path: str) -> str:
        return path if path in SAMPLES else moved(path, Path.cwd(), folder.resolve())

    record = {"job": map_paths(result.job.as_table(), from_folder), **result.summary()}
    record["inputs"] = {from_folder(path): sha256 for path, sha256 in result.inputs.items()}
    return record


def state_of(path: Path, job: Job, inputs: Mapping[str, str]) -> State:
    """Whether the PNG at `path` is what a plan's `job` would make of images with the SHA-256 that
    `inputs` has, by their paths in the job."""
    if status_of(path) is None:
        return "missing"
    try:
        record = read_png_record(path)
    except UsageError:
        return "other"
    folder = path.parent.resolve()
    # Plain values, as they come back from a file; paths may have been given in another way.
    wanted = json.loads(
        json.dumps([_absolute(job.as_table(), Path.cwd()), _at(inputs, Path.cwd())])
    )
    try:
        carried = [_absolute(record["job"], folder), _at(record["inputs"], folder)]
    except (KeyError, TypeError, AttributeError, ValueError, OSError):  # somebody else's
        return "other"
    if carried != wanted:
        return "other"
    return "interrupted" if record.get("interrupted") is not False else "finished"


def _absolute(table: dict[str, Any], base: Path) -> dict[str, Any]:
    return map_paths(table, lambda path: str((base / path).resolve()))


def _at(inputs: Mapping[str, str], base: Path) -> dict[str, str]:
    return {
        path if path in SAMPLES else str((base / path).resolve()): sha256
        for path, sha256 in inputs.items()
    }
