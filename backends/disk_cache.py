"""Folders of files that are made once and kept in the user's cache, verified by checksums.

Several processes may make, read and delete the same folder at the same time: a folder is filled
under a temporary name and moved into place when it is complete, and a folder that is in place is
never replaced. A damaged one gets a successor under another name, and is deleted later.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..core.errors import UsageError
from ..core.files import bring_to_disk
from ..core.job.options.text import bytes_of
from ..core.leftovers import temporary_folder

_CHECKSUM = "sha256"

#: Environment variable with the size that `trim` allows, and its default in bytes.
LIMIT_VARIABLE = "STYLECTL_CACHE_SIZE"
_LIMIT = 2_000_000_000

#: Seconds since its last use for which a folder is not deleted: another process may be reading it.
_IN_USE = 3600


@contextmanager
def kept_folder(parent: Path, key: str, make: Callable[[Path], None]) -> Iterator[Path]:
    """Yield the folder `key` in `parent`, which `make` has filled now or at an earlier time.

    `make` gets an empty folder, and writes the same files whenever it is called for this key. The
    folder exists inside the `with`; where the cache cannot be written to, it is temporary.
    """
    cached = _intact(parent, key)
    if cached is not None:
        del make
        mark_used(cached)
        yield cached
        return
    with ExitStack() as stack:
        try:
            new = _made(stack, _writable(parent), make)
        except OSError:  # such as a full disk
            new = _made(stack, None, make)
        del make  # it may hold what the files were made from
        yield _moved_into_cache(new, parent, key)


def is_kept(parent: Path, key: str) -> bool:
    """Return whether there is a folder `key` in `parent`, be it damaged."""
    return any(folder.exists() for folder in _versions(parent, key))


def key_of(*values: object) -> str:
    """Return the key of a folder that these values determine, as hexadecimal digits."""
    return hashlib.sha256("".join(f"{value};" for value in values).encode()).hexdigest()


def code_hash(*modules: Path) -> str:
    """Return a hash of the modules that make a folder's files, so that a change makes new ones."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update(module.read_bytes())
    return digest.hexdigest()


def private_folder(folder: Path) -> Path:
    """Create the folder if need be, closed to other users, and return it. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def mark_used(folder: Path) -> None:
    """Record that a folder is used now, as its time of modification."""
    with suppress(OSError):
        os.utime(folder)


def cache_limit() -> int:
    """Return the bytes that the folders may take in all. Raises UsageError for a bad variable."""
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        return 0 if text == "0" else bytes_of(text) if text else _LIMIT
    except ValueError as error:
        raise UsageError(f"{LIMIT_VARIABLE}: {text!r} {error}") from None


def trim(root: Path, most_bytes: int) -> list[Path]:
    """Delete the least recently used folders ``root/KIND/KEY`` above `most_bytes` in all.

    Those that were used within the last hour are kept in any case. Returns the deleted folders.
    """
    folders = []
    for folder in root.glob("*/*"):
        with suppress(OSError):
            folders.append((folder.stat().st_mtime, size_of(folder), folder))
    total, deleted = sum(size for _, size, _ in folders), []
    for _, size, folder in sorted(folders):
        is_left = folder.name.startswith(".")  # by a process that was killed
        if (total > most_bytes or is_left) and not _in_use(folder) and _deleted(folder):
            deleted.append(folder)
            total -= size
    return deleted


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; 0 for what was deleted."""
    total = 0
    for file in [path] if path.is_file() else path.rglob("*"):
        with suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return total


def _made(stack: ExitStack, parent: Path | None, make: Callable[[Path], None]) -> Path:
    """Return a new folder, in a temporary one that the stack deletes."""
    new = stack.enter_context(temporary_folder(parent, ".new-")) / "made"
    new.mkdir()
    make(new)
    for file in new.iterdir():
        bring_to_disk(file)
    (new / _CHECKSUM).write_text(_checksum(new), "utf-8")
    return new


def _versions(parent: Path, key: str) -> list[Path]:
    return [*sorted(parent.glob(f"{key}-*")), parent / key]


def _intact(parent: Path, key: str) -> Path | None:
    return next((folder for folder in _versions(parent, key) if _is_intact(folder)), None)


def _writable(folder: Path) -> Path | None:
    """Return the folder, created if need be; None if it cannot be written to.

    To `tempfile`, None is the system's folder for temporary files.
    """
    try:
        with tempfile.TemporaryFile(dir=private_folder(folder)):
            return folder
    except OSError:
        return None


def _moved_into_cache(new: Path, parent: Path, key: str) -> Path:
    """Move a new folder into the cache, completely or not at all, and return where it is then."""
    successor = parent / f"{key}-{new.parent.name.removeprefix('.new-')}"
    for target in (parent / key, successor):
        try:
            new.rename(target)
        except OSError:  # there is one
            other = _intact(parent, key)
            if other is not None:
                return other
        else:
            for folder in _versions(parent, key):
                if folder != target and not _in_use(folder):
                    _deleted(folder)
            return target
    return new


def _in_use(folder: Path) -> bool:
    """Return whether a folder exists and was used within the last hour."""
    try:
        return time.time() - folder.stat().st_mtime < _IN_USE
    except OSError:
        return False


def _deleted(folder: Path) -> bool:
    """Delete a folder, which vanishes as a whole. Return whether that was possible."""
    with (
        suppress(OSError),
        tempfile.TemporaryDirectory(
            dir=folder.parent, prefix=".old-", ignore_cleanup_errors=True
        ) as bin_folder,
    ):
        folder.rename(Path(bin_folder) / "deleted")
        return True
    return False


def _is_intact(folder: Path) -> bool:
    try:
        return (folder / _CHECKSUM).read_text("utf-8") == _checksum(folder)
    except (OSError, ValueError):
        return False


def _checksum(folder: Path) -> str:
    sums = []
    for path in sorted(folder.iterdir()):
        if path.name != _CHECKSUM:
            with path.open("rb") as file:
                sums.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}")
    return "\n".join(sums)
