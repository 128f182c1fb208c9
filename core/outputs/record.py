"""Records of how a result was made, which its file contains, and job files.

A record is JSON: ``job`` makes the result again, ``format`` is the number of the record's format,
the rest is `Result.summary`. A PNG contains it as text; the writer `numbers` writes it as a file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from ..errors import StylectlError, UsageError
from ..files import check_regular, current_folder, read_file, real_path, status_of, text_of
from ..images.files import file_sha256, style_files
from ..images.formats.pillow_limits import unlimited_pillow
from ..interfaces.result import RECORD_FORMAT, Result
from ..interfaces.writer import RECORD_KEY
from ..job.paths import JobFile, is_in_file_system, map_paths, recorded_path, without_tilde
from ..job.tables import check_values
from ..job.toml import read_toml
from ..planning.plan import Plan

#: `other`: a result of another job or of other images, or a file without a record.
State = Literal["missing", "finished", "interrupted", "other"]

_MAX_BYTES = 50_000_000


def record_for(result: Result, folder: Path) -> dict[str, Any]:
    """Return the record of a result whose file will be in `folder`.

    The paths in it are those of `recorded_path`.
    """

    def from_folder(path: str) -> str:
        try:
            return recorded_path(path, current_folder(), real_path(folder))
        except UsageError:  # the current folder was deleted during the run
            return path

    job = map_paths(result.job.as_table(), from_folder, result.option_models)
    record = {"job": job, **result.summary()}
    record["inputs"] = {from_folder(path): sha256 for path, sha256 in result.inputs.items()}
    return record


def read_job_file(path: Path) -> JobFile:
    """Read a job's plain values from TOML, or from a file with a record (PNG, JSON).

    Raises UsageError for a missing or malformed file, or one that contains no job.
    """
    check_regular(path, "job file")
    if path.suffix.lower() not in _READERS:
        return JobFile(read_toml(path), path.parent, path)
    return recorded_job(read_record(path), path)


def recorded_job(record: Mapping[str, Any], path: Path) -> JobFile:
    """Return the job of a record in the file at `path`."""
    inputs = record.get("inputs")
    stated = inputs.items() if isinstance(inputs, dict) else ()
    hashes = {name: sha256 for name, sha256 in stated if isinstance(sha256, str)}
    return JobFile(record["job"], path.parent, path, hashes)


def changed_inputs(file: JobFile, plan: Plan) -> list[str]:
    """Return a message for each file of a plan that differs from that in the job file's record.

    Files that the record does not state are not compared, nor are those that are missing.
    """
    recorded, messages = file.hashes_here(), []
    paths = list(plan.files)
    for path in plan.job.input_paths:
        with suppress(StylectlError):  # the run will say what is wrong with it
            paths += style_files(path)
    for path in dict.fromkeys(paths):
        with suppress(StylectlError):
            if path in recorded and file_sha256(path) != recorded[path]:
                messages.append(
                    f"{path}: not the file that {file.path} was made from; its SHA-256 is another"
                )
    return messages


def read_record(path: Path) -> dict[str, Any]:
    """Read the record in a file that stylectl wrote, as plain values in the current format.

    Raises UsageError for a file without a record, or with one that is not valid.
    """
    check_regular(path, "file")
    read = _READERS.get(path.suffix.lower(), _png_text)
    return parsed_record(read(path), path)


def parsed_record(text: str, path: Path) -> dict[str, Any]:
    """Return the record that a file contains as JSON, as plain values in the current format.

    Raises UsageError for text that is no record.
    """
    try:
        record = json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("job"), dict):
        raise UsageError(f"{path}: not a stylectl record, which is JSON with the key 'job'")
    try:
        check_values(record)
    except UsageError as error:
        raise error.reworded(f"{path}: {error}") from None
    return _migrated(record, path)


def state_of(path: Path, plan: Plan, inputs: Mapping[str, str]) -> State:
    """Return the state of the PNG at `path`, as the result of `plan` for the given input files.

    `inputs` maps the paths of images and of other files, as in the job, to their SHA-256. How the
    result was computed (`HOW_COMPUTED` in core/job/halves.py) does not count.
    """
    if status_of(path) is None:
        return "missing"
    folder = real_path(path.parent)

    def comparable(job: dict[str, Any], inputs: Mapping[str, str], base: Path) -> list[Any]:
        """Return the values with all paths as a record has them."""

        def from_folder(path: str) -> str:
            if not is_in_file_system(path):
                return path
            return recorded_path(str(real_path(base / without_tilde(path))), base, folder)

        values = plan.determining(map_paths(job, from_folder, plan.models))
        return [values, {from_folder(path): sha256 for path, sha256 in inputs.items()}]

    # JSON turns tuples into lists, as in a record.
    expected = json.loads(json.dumps(comparable(plan.job.as_table(), inputs, current_folder())))
    try:
        record = read_record(path)
        recorded = comparable(record["job"], record["inputs"], folder)
        recorded = json.loads(json.dumps(recorded))
    except (UsageError, KeyError, TypeError, AttributeError, ValueError, OSError):
        return "other"  # no record, or an unreadable one
    if recorded != expected:
        return "other"
    return "interrupted" if record.get("interrupted") is not False else "finished"


def _integer(digits: str) -> int:
    """Return the number; for one of thousands of digits, any that is too large as well."""
    return int(digits[:100])


def _png_text(path: Path) -> str:
    try:
        # Only the text before the pixels is read, and Pillow limits its size: so the image may have
        # any number of pixels.
        with unlimited_pillow(), Image.open(path, formats=("PNG",)) as image:
            text = image.info.get(RECORD_KEY)
    except (OSError, SyntaxError, ValueError):
        raise UsageError(f"{path}: not a PNG that can be read") from None
    if not isinstance(text, str):
        raise UsageError(f"{path}: contains no stylectl record")
    return text


def _json_text(path: Path) -> str:
    return text_of(read_file(path, _MAX_BYTES, "record"))


_READERS: dict[str, Callable[[Path], str]] = {".png": _png_text, ".json": _json_text}


def _from_1(record: dict[str, Any]) -> dict[str, Any]:
    """Add the format number, which version 0.1 did not write; all else is as in format 2."""
    return record | {"format": 2}


def _from_2(record: dict[str, Any]) -> dict[str, Any]:
    """Rename the key `scale` of styles to `size`."""
    styles = record["job"].get("styles")
    if not isinstance(styles, list):
        return record | {"format": 3}
    renamed = [
        {"size" if key == "scale" else key: value for key, value in style.items()}
        if isinstance(style, dict)
        else style
        for style in styles
    ]
    return record | {"format": 3, "job": record["job"] | {"styles": renamed}}


#: Former format -> the function that converts a record to the next format.
_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: _from_1,
    2: _from_2,
}


def _migrated(record: dict[str, Any], path: Path) -> dict[str, Any]:
    number = record.get("format", 1)
    if type(number) is not int or not 1 <= number <= RECORD_FORMAT:
        raise UsageError(
            f"{path}: its record has the format {number!r}, and this version of stylectl reads the "
            f"formats 1 to {RECORD_FORMAT}: it was written by a later version"
        )
    for former in range(number, RECORD_FORMAT):
        record = _MIGRATIONS[former](record)
    return record
