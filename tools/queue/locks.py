"""Locks of results, by which processes that paint into one folder share the work."""

from __future__ import annotations

import errno
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import SoftFileLock

from ...core.files import shortened
from ...core.leftovers import PRIVATE, held_lock, private_lock

#: Errors of flock on file systems that have no locks, as some network shares.
_UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}


class Locks:
    """Locks of results.

    A lock is the operating system's, which frees it when the process ends, even by a crash. On a
    file system without locks it is a file that exists while the result is made; `notify` gets a
    message then, once.
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._supported: dict[Path, bool] = {}

    @contextmanager
    def held(self, path: Path, wait: bool) -> Iterator[None]:
        """Hold the lock of a result, so that no other process makes it.

        Raises filelock.Timeout if another process has the lock: at once, or never with `wait`.
        """
        lock = private_lock(path.with_name(shortened(path.name)))
        if self._has_locks(path.parent):
            with held_lock(lock, wait):
                yield
        else:
            with SoftFileLock(lock.with_suffix(".exists"), timeout=-1 if wait else 0):
                yield

    def _has_locks(self, folder: Path) -> bool:
        if folder not in self._supported:
            is_first = all(self._supported.values())
            self._supported[folder] = _has_locks(folder)
            if is_first and not self._supported[folder]:
                self._notify(
                    f"{folder} is on a file system without locks: a hidden file marks a result "
                    f"that is being made; if a batch was killed, delete {folder / PRIVATE}*.exists"
                )
        return self._supported[folder]


def _has_locks(folder: Path) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl

    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in _UNSUPPORTED
    return True
