"""Folders of files that are made once and kept in the user's cache, checked by their hash.

Several processes may make, read and replace the same folder at the same time: a folder is made
under a temporary name and moved into place whole.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_CHECKSUM = "sha256"


@contextmanager
def kept_folder(parent: Path, key: str, make: Callable[[Path], None]) -> Iterator[Path]:
    """The folder `key` in `parent`, as `make` has filled it, now or at an earlier time.

    `make` gets an empty folder, and writes the same files whenever it is called for this key. The
    folder is there inside the `with`; where the cache cannot be written to, it is temporary.
    """
    place = parent / key
    if _is_whole(place):
        del make
        yield place
        return
    with tempfile.TemporaryDirectory(dir=_writable(parent), prefix=".new-") as private:
        made = Path(private) / "made"
        made.mkdir()
        make(made)
        del make  # it may hold what the files were made from
        (made / _CHECKSUM).write_text(_checksum(made))
        yield _moved(made, place)


def key_of(*marks: object) -> str:
    """A key for what these marks tell from everything else."""
    return hashlib.sha256("".join(f"{mark};" for mark in marks).encode()).hexdigest()


def private_folder(folder: Path) -> Path:
    """The folder, which nobody else can enter, made if need be. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def _writable(folder: Path) -> Path | None:
    """The folder, made if need be, or None (the system's own for temporary files)."""
    try:
        with tempfile.TemporaryFile(dir=private_folder(folder)):
            return folder
    except OSError:
        return None


def _moved(made: Path, place: Path) -> Path:
    """Moves a new folder into the cache, whole or not at all. Gives the place where it is then."""
    try:
        if place.exists():
            place.rename(made.parent / "damaged")
        made.rename(place)
    except OSError:
        return made
    return place


def _is_whole(place: Path) -> bool:
    try:
        return (place / _CHECKSUM).read_text() == _checksum(place)
    except OSError:
        return False


def _checksum(folder: Path) -> str:
    sums = []
    for path in sorted(folder.iterdir()):
        if path.name != _CHECKSUM:
            with path.open("rb") as file:
                sums.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}")
    return "\n".join(sums)
