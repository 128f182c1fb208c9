"""Paths from users, reading with limits, atomic writing of files, and the user's folders."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from .errors import UsageError
from .leftovers import PRIVATE, temporary_folder

#: Longest name, in bytes, of a file that stylectl names itself. File systems allow 255 bytes; the
#: rest is for suffixes and for the names of files that belong to it.
_LONGEST_NAME = 200

#: Bytes that are written behind a file to find out if the disk is full; a block of most systems.
_BLOCK = 4096


def paths_of(files: str | Path | Iterable[str | Path]) -> list[Path]:
    """Return the paths of one file or of several."""
    return [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]


def status_of(path: Path) -> os.stat_result | None:
    """Return the status of the file at a path, or None, also for paths that no file can have."""
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def check_regular(path: Path, kind: str) -> None:
    """Check that a path names a file, and not a folder, a pipe or a device.

    `kind` is the noun for the file in messages, such as ``job file``. Raises UsageError.
    """
    status = status_of(path)
    if status is None:
        raise UsageError(no_such(kind, path))
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{path}: not a file, but {_kind_of(status.st_mode)}")


def no_such(kind: str, path: object) -> str:
    """Return the message for a file that does not exist."""
    message = f"{path}: no such {kind}"
    if any(character in "\b\t\n\f\r" for character in str(path)):
        message += "; in a job file, write a path with backslashes in single quotes"
    return message


def read_file(path: Path, most_bytes: int, kind: str) -> bytes:
    """Return the contents of a file that a user names; see `check_regular` for `kind`.

    Raises UsageError for a file that is missing, not regular, larger than `most_bytes` or that
    cannot be read.
    """
    check_regular(path, kind)
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > most_bytes:
        raise UsageError(f"{path}: too large for a {kind}")
    return data


def check_output(path: Path) -> None:
    """Check that a file can be written under this name, unless its folder forbids it.

    Raises UsageError for a folder, a pipe or a device, and for a name that no file can have.
    """
    if not path.name:
        raise UsageError(f"{path}: this is no file; name one for the output")
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: no file can have this name ({reason})") from None
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path}: the output is a folder; name a file in it")
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path}: the output is {_kind_of(mode)}; name a file")


def text_of(data: bytes) -> str:
    """Decode UTF-8, with or without a byte order mark, or UTF-16 with one. Raises ValueError."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    return data.decode("utf-8-sig")


def current_folder() -> Path:
    """Return the current folder. Raises UsageError if it was deleted."""
    try:
        return Path.cwd()
    except OSError:
        raise UsageError("the current folder does not exist any more; change to another") from None


def real_path(path: Path) -> Path:
    """Return the absolute path with symbolic links followed, as far as that is possible."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle, no current folder, a NUL
        return path


def check_is_no_input(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise UsageError if writing one of the `outputs` would replace one of the `inputs`.

    Files are compared as the file system does: through links, and regardless of case where it
    does not distinguish upper and lower case.
    """
    known = {_identity(path): path for path in inputs}
    for output in outputs:
        path = known.get(_identity(output))
        if path is not None:
            raise UsageError(f"{output}: the output would overwrite an input, {path}")


def _identity(path: Path) -> tuple[int, int] | Path:
    """Return a value that is equal for two paths of one file."""
    status = status_of(path)
    return real_path(path) if status is None else (status.st_dev, status.st_ino)


def shortened(name: str) -> str:
    """Return a file name, without its suffix, that file systems allow for its length.

    A longer one is cut and made unique by a hash.
    """
    try:
        data = os.fsencode(name)
    except UnicodeEncodeError:
        return name  # no file can have this name, as its use will show
    if len(data) <= _LONGEST_NAME:
        return name
    cut = data[: _LONGEST_NAME - 9].decode(errors="ignore")
    return f"{cut}-{hashlib.sha256(data).hexdigest()[:8]}"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, to write the file to.

    The file is moved to `path` when it is on the disk. If anything is raised, no file is left
    behind, and an existing file stays as it is. Raises OSError, also if the disk is full and the
    code that wrote the file did not notice it.
    """
    with temporary_folder(path.parent, PRIVATE) as folder:
        temporary = folder / path.name
        yield temporary
        bring_to_disk(temporary)
        temporary.replace(path)
        _bring_folder_to_disk(path.parent)


def bring_to_disk(file: Path) -> None:
    """Flush a file to the disk, and check that the disk has room for more.

    Some code ignores that a part was not written, such as Pillow's when it writes a JPEG in one
    piece. Where the disk was full then, it still is.
    """
    with file.open("rb+") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.write(bytes(_BLOCK))
        stream.flush()
        os.fsync(stream.fileno())
        stream.truncate(size)
        os.fsync(stream.fileno())


def _bring_folder_to_disk(folder: Path) -> None:
    """Flush the names in a folder to the disk, on systems where a folder can be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _kind_of(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a named pipe" if stat.S_ISFIFO(mode) else "a device"


def user_cache() -> Path:
    """Return the folder of everything that can be made, or downloaded, again."""
    return platformdirs.user_cache_path("stylectl")


def user_state() -> Path:
    """Return the folder of unfinished work."""
    return platformdirs.user_state_path("stylectl")
