"""Locks and temporary folders, which a killed process leaves behind and a later one removes.

The owner holds a lock of the operating system, which is free when the process has ended, however it
ended. A lock file is deleted while its lock is held; filelock takes no lock of a file that was
deleted meanwhile, so that never two processes have one lock.
"""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Beginning of the names of locks and temporary folders beside users' files.
PRIVATE = ".stylectl-"

#: Lock file in a temporary folder.
_LOCK = ".lock"


@contextmanager
def held_lock(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock file at `path`, which is deleted afterwards.

    Raises filelock.Timeout if another process has the lock: at once, or never with `wait`. Raises
    OSError if the file cannot be made.
    """
    from filelock import FileLock

    with FileLock(path, timeout=-1 if wait else 0):
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()


@contextmanager
def temporary_folder(parent: Path | None, prefix: str) -> Iterator[Path]:
    """Yield a new folder in `parent`, which is deleted afterwards.

    `parent` is None for the system's folder for temporary files. Those of killed processes, with
    the same prefix, are removed before. Raises OSError.
    """
    from filelock import FileLock, Timeout

    parent = Path(tempfile.gettempdir()) if parent is None else parent
    remove_leftovers(parent, prefix)
    while True:
        folder = tempfile.TemporaryDirectory(
            dir=parent, prefix=f"{prefix}{_host()}-", ignore_cleanup_errors=True
        )
        with folder as name:
            lock = FileLock(Path(name) / _LOCK)
            try:
                lock.acquire(timeout=0)
            except (Timeout, FileNotFoundError):
                continue  # another process took the new folder for a leftover
            try:
                yield Path(name)
            finally:
                _empty(Path(name))
                lock.release()
            return


def remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove the temporary folders of killed processes whose names begin with the prefix.

    Their names have that of this machine: on a shared file system, locks may not hold for others.
    """
    from filelock import FileLock, Timeout

    with suppress(OSError):
        for folder in parent.glob(f"{prefix}{_host()}-*"):
            if (folder / _LOCK).is_file():
                with suppress(Timeout, OSError), FileLock(folder / _LOCK, timeout=0):
                    _empty(folder)
                    shutil.rmtree(folder, ignore_errors=True)
            else:  # killed before it made its lock, or after it had deleted that
                with suppress(OSError):
                    folder.rmdir()


def _empty(folder: Path) -> None:
    """Delete what is in a temporary folder; the lock stays, so that a kill leaves no other file."""
    for path in folder.iterdir():
        if path.name == _LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def remove_free_locks(parent: Path) -> None:
    """Remove the lock files (`private_lock`) that no process holds."""
    from filelock import Timeout

    with suppress(OSError):
        for lock in parent.glob(f"{PRIVATE}*.lock"):
            with suppress(Timeout, OSError), held_lock(lock):
                pass


def private_lock(path: Path) -> Path:
    """Return the path of the lock file for `path`, a hidden file beside it."""
    return path.with_name(f"{PRIVATE}{path.name}.lock")


def _host() -> str:
    """Return the name of this machine, fit for a file's name."""
    return re.sub(r"[^A-Za-z0-9.]", "_", platform.node())[:40]
