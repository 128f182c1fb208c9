"""Paths from users, atomic writing of files, and the user's folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from .leftovers import PRIVATE, temporary_folder


def paths_of(files: str | Path | Iterable[str | Path]) -> list[Path]:
    """Return the paths of one file or of several."""
    return [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]


def status_of(path: Path) -> os.stat_result | None:
    """Return the status of the file at a path, or None, also for paths that no file can have."""
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, to write the file to.

    The file is moved to `path` when it is on the disk. If anything is raised, no file is left
    behind, and an existing file stays as it is. Raises OSError.
    """
    with temporary_folder(path.parent, PRIVATE) as folder:
        temporary = folder / path.name
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)


def user_cache() -> Path:
    """Return the folder of everything that can be made, or downloaded, again."""
    return platformdirs.user_cache_path("stylectl")


def user_state() -> Path:
    """Return the folder of unfinished work."""
    return platformdirs.user_state_path("stylectl")
