"""Folders of files that are made once and kept in the user's cache, verified by checksums.

Several processes may make, read and replace the same folder at the same time: a folder is filled
under a temporary name, and moved into place when it is complete.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.leftovers import temporary_folder

_CHECKSUM = "sha256"


@contextmanager
def kept_folder(parent: Path, key: str, make: Callable[[Path], None]) -> Iterator[Path]:
    """Yield the folder `key` in `parent`, which `make` has filled now or at an earlier time.

    `make` gets an empty folder, and writes the same files whenever it is called for this key. The
    folder exists inside the `with`; where the cache cannot be written to, it is temporary.
    """
    cached = parent / key
    if _is_intact(cached):
        del make
        yield cached
        return
    with temporary_folder(_writable(parent), ".new-") as temporary:
        new = temporary / "made"
        new.mkdir()
        make(new)
        del make  # it may hold what the files were made from
        (new / _CHECKSUM).write_text(_checksum(new))
        yield _move_into_cache(new, cached)


def key_of(*values: object) -> str:
    """Return the key of a folder that these values determine, as hexadecimal digits."""
    return hashlib.sha256("".join(f"{value};" for value in values).encode()).hexdigest()


def private_folder(folder: Path) -> Path:
    """Create the folder if need be, closed to other users, and return it. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def _writable(folder: Path) -> Path | None:
    """Return the folder, created if need be; None if it cannot be written to.

    To `tempfile`, None is the system's folder for temporary files.
    """
    try:
        with tempfile.TemporaryFile(dir=private_folder(folder)):
            return folder
    except OSError:
        return None


def _move_into_cache(new: Path, cached: Path) -> Path:
    """Move a new folder into the cache, completely or not at all, and return where it is then."""
    try:
        if cached.exists():
            cached.rename(new.parent / "damaged")
        new.rename(cached)
    except OSError:
        return new
    return cached


def _is_intact(folder: Path) -> bool:
    try:
        return (folder / _CHECKSUM).read_text() == _checksum(folder)
    except OSError:
        return False


def _checksum(folder: Path) -> str:
    sums = []
    for path in sorted(folder.iterdir()):
        if path.name != _CHECKSUM:
            with path.open("rb") as file:
                sums.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}")
    return "\n".join(sums)
