"""Locks of results, by which processes that paint into one folder share the work."""

from __future__ import annotations

import errno
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, SoftFileLock

from ...core.files import shortened

#: Folder, in that of the results, for the lock files. Those of the operating system's locks stay:
#: deleting one while another process opens it would let both processes have the lock.
FOLDER = ".stylectl-locks"

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
        folder = path.with_name(FOLDER)
        folder.mkdir(exist_ok=True)
        name, timeout = shortened(path.name), -1 if wait else 0
        lock: FileLock | SoftFileLock
        if self._has_locks(folder):
            lock = FileLock(folder / f"{name}.lock", timeout=timeout)
        else:
            lock = SoftFileLock(folder / f"{name}.exists", timeout=timeout)
        with lock:
            yield

    def _has_locks(self, folder: Path) -> bool:
        if folder not in self._supported:
            is_first = all(self._supported.values())
            self._supported[folder] = _has_locks(folder)
            if is_first and not self._supported[folder]:
                self._notify(
                    f"{folder.parent} is on a file system without locks: a file marks a result "
                    f"that is being made; if a batch was killed, delete {folder}"
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
