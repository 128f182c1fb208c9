"""Records: what a file carries about how its result was made, and job files.

A record is JSON: ``job`` makes the result again, ``format`` is the number of the record's format,
the rest is `Result.summary`. PNGs carry it as text; the writer `numbers` writes it as a file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from ..errors import UsageError
from ..files import status_of
from ..images.pillow_limits import unlimited_pillow
from ..interfaces.result import RECORD_FORMAT, Result
from ..interfaces.writer import RECORD_KEY
from ..job.paths import map_paths, relocated
from ..job.samples import SAMPLES
from ..job.toml import read_toml
from ..planning.plan import Plan

#: `other`: of another job or other images, or no result of ours.
State = Literal["missing", "finished", "interrupted", "other"]

_MOST_BYTES = 50_000_000


def record_for(result: Result, folder: Path) -> dict[str, Any]:
    """The record of a result whose file will lie in `folder`, to which its paths are relative."""

    def from_folder(path: str) -> str:
        return path if path in SAMPLES else relocated(path, Path.cwd(), folder.resolve())

    record = {"job": map_paths(result.job.as_table(), from_folder), **result.summary()}
    record["inputs"] = {from_folder(path): sha256 for path, sha256 in result.inputs.items()}
    return record


def read_job_file(path: Path) -> dict[str, Any]:
    """A job's plain values, from TOML or from a file with a record (PNG, JSON), with paths relative
    to the current folder.

    Raises UsageError for a missing or malformed file, or one that carries no job.
    """
    if status_of(path) is None:
        raise UsageError(f"{path}: no such job file")
    has_record = path.suffix.lower() in _READERS
    table = read_record(path)["job"] if has_record else read_toml(path)
    return map_paths(table, lambda name: relocated(name, path.parent.resolve(), Path.cwd()))


def read_record(path: Path) -> dict[str, Any]:
    """The record in a file that stylectl wrote, in the current format, as plain values.

    Raises UsageError when there is none, or one that cannot be understood.
    """
    if status_of(path) is None:
        raise UsageError(f"{path}: no such file")
    read = _READERS.get(path.suffix.lower(), _png_text)
    try:
        record = json.loads(read(path))
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("job"), dict):
        raise UsageError(f"{path}: its stylectl job cannot be understood")
    return _migrated(record, path)


def state_of(path: Path, plan: Plan, inputs: Mapping[str, str]) -> State:
    """Whether the PNG at `path` is what `plan` would make of images with the SHA-256 that `inputs`
    has, by their paths in the job. How it was computed does not count."""
    if status_of(path) is None:
        return "missing"
    folder = path.parent.resolve()
    # Plain values, as they come back from a file; paths may have been given in another way.
    wanted = json.loads(
        json.dumps([_absolute(plan, plan.job.as_table(), Path.cwd()), _at(inputs, Path.cwd())])
    )
    try:
        record = read_record(path)
        carried = [_absolute(plan, record["job"], folder), _at(record["inputs"], folder)]
        carried = json.loads(json.dumps(carried))
    except (UsageError, KeyError, TypeError, AttributeError, ValueError, OSError):
        return "other"  # somebody else's, or unreadable
    if carried != wanted:
        return "other"
    return "interrupted" if record.get("interrupted") is not False else "finished"


def _png_text(path: Path) -> str:
    try:
        # Only the text before the pixels is read, whose size Pillow limits; the pixels may be many.
        with unlimited_pillow(), Image.open(path, formats=("PNG",)) as image:
            text = image.info.get(RECORD_KEY)
    except (OSError, SyntaxError, ValueError):
        raise UsageError(f"{path}: not a PNG that can be read") from None
    if not isinstance(text, str):
        raise UsageError(f"{path}: carries no stylectl job")
    return text


def _json_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{path}: too large for a record")
    return data.decode()


_READERS: dict[str, Callable[[Path], str]] = {".png": _png_text, ".json": _json_text}


def _from_1(record: dict[str, Any]) -> dict[str, Any]:
    """Version 0.1 wrote no format number; all else is as in format 2."""
    return record | {"format": 2}


#: From each former format to the next one.
_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}


def _migrated(record: dict[str, Any], path: Path) -> dict[str, Any]:
    number = record.get("format", 1)
    if not isinstance(number, int) or not 1 <= number <= RECORD_FORMAT:
        raise UsageError(
            f"{path}: its record has the format {number!r}, and this stylectl reads 1 to "
            f"{RECORD_FORMAT}: it was written by a later version"
        )
    for former in range(number, RECORD_FORMAT):
        record = _MIGRATIONS[former](record)
    return record


def _absolute(plan: Plan, table: dict[str, Any], base: Path) -> dict[str, Any]:
    return plan.determining(map_paths(table, lambda path: str((base / path).resolve())))


def _at(inputs: Mapping[str, str], base: Path) -> dict[str, str]:
    return {
        path if path in SAMPLES else str((base / path).resolve()): sha256
        for path, sha256 in inputs.items()
    }
