"""Paths that come from users, files that are written whole, and the user's cache folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs


def status_of(path: Path) -> os.stat_result | None:
    """What is at the path, or None: also for paths that no file can have."""
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, under which the file is to be written. It is moved into place
    when it is on the disk; if anything is raised, nothing is left and what was there stays.

    Raises OSError.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".stylectl-") as private:
        whole = Path(private) / path.name
        yield whole
        with whole.open("rb+") as file:
            os.fsync(file.fileno())
        whole.replace(path)


def user_cache() -> Path:
    """Where everything is kept that can be made, or downloaded, again."""
    return platformdirs.user_cache_path("stylectl")
