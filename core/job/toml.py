"""Job files in TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from ..errors import UsageError
from .model import Job

_MAX_BYTES = 1_000_000


def job_toml(job: Job) -> str:
    """Return the job as TOML, the text of a job file."""
    return tomli_w.dumps(job.as_table())


def read_toml(path: Path) -> dict[str, Any]:
    """Return the values of a TOML file.

    Raises UsageError for a file that cannot be read, is too large, or is not valid TOML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise UsageError(f"{path}: too large for a job file")
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not a valid TOML file ({error})") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
