"""Job files in TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from ..errors import UsageError
from ..files import read_file, text_of
from .model import Job
from .tables import check_values

_MAX_BYTES = 1_000_000

#: A key whose value Python's reader does not read: thousands of digits, hundreds of brackets.
_TOO_MUCH = r"^\s*([\w.\"' -]+?)\s*=.*?(?:[\d_]{1000}|(?:[\[{]\s*){50})"


def job_toml(job: Job) -> str:
    """Return the job as TOML, the text of a job file.

    Raises UsageError for a job with the name of a file that TOML cannot hold.
    """
    text = tomli_w.dumps(job.as_table())
    if re.search("[\ud800-\udfff]", text):
        raise UsageError(
            "the job names a file whose name is not text (bytes that are not UTF-8), which TOML "
            "cannot hold; rename the file"
        )
    return text


def settings_toml(name: str, settings: Mapping[str, Any]) -> str:
    """Return a table of further settings, which follows a job in its file."""
    return tomli_w.dumps({name: dict(settings)})


def read_toml(path: Path) -> dict[str, Any]:
    """Return the values of a TOML file.

    Raises UsageError for a file that cannot be read, is too large, is not valid TOML, or has values
    that no job can have.
    """
    try:
        return parsed_toml(text_of(read_file(path, _MAX_BYTES, "job file")), path)
    except UnicodeError as error:
        raise UsageError(f"{path}: not a text file in UTF-8 ({error})") from None


def parsed_toml(text: str, path: Path) -> dict[str, Any]:
    """Return the values of a TOML file's text; see `read_toml`."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not a valid TOML file ({error}){_advice(text, error)}") from None
    except (ValueError, RecursionError):
        key = re.search(_TOO_MUCH, text, re.MULTILINE)
        name = key[1] if key else "a value"
        raise UsageError(f"{path}: {name}: too many digits, or too many lists in lists") from None
    try:
        check_values(values)
    except UsageError as error:
        raise error.reworded(f"{path}: {error}") from None
    return values


def _advice(text: str, error: Exception) -> str:
    """Return advice for a path of Windows in double quotes, in which TOML reads escapes."""
    line = re.search(r"at line (\d+)", str(error))
    lines = text.splitlines()
    wrong = lines[int(line[1]) - 1] if line and int(line[1]) <= len(lines) else text
    if re.search(r'"[^"]*\\', wrong):
        return r"; write a path with backslashes in single quotes, as in 'C:\photos\sea.jpg'"
    return ""
