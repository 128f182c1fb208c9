"""Job files in TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from ..errors import UsageError
from .model import Job

_MOST_BYTES = 1_000_000


def job_toml(job: Job) -> str:
    """The job as TOML, ready to be a job file."""
    return tomli_w.dumps(job.as_table())


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's values. Raises UsageError for a file that cannot be read or is too large."""
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
