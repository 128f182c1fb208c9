"""Files of a job: their paths, bytes and hashes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import ImageError, UsageError
from ..files import no_such, status_of
from ..job.model import Job
from ..job.paths import SAMPLES

#: File name suffixes of images, by which those in a folder are found.
SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".tif", ".tiff"),
        *(".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif"),
    )
)

_MOST_BYTES = 2**31

#: Path of an image or a folder -> the paths of its images, as `style_files` gives them.
ListFiles = Callable[[str], Sequence[str]]


def file_sha256(path: str) -> str:
    """SHA-256 of a file, or of a sample; of an image, as in its `SourceImage`.

    Raises UsageError for a missing file and ImageError for one that is empty or cannot be read.
    """
    file, size = _regular_file(path)
    if size == 0:
        raise ImageError(f"{path}: the file is empty")
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from None


@contextmanager
def open_file(path: str) -> Iterator[tuple[BinaryIO, str]]:
    """Open an image file, or a sample, and compute its SHA-256.

    Raises UsageError for a missing file and ImageError for one that is empty, too large, cannot be
    read, or changes while it is read.
    """
    file, size = _regular_file(path)
    if size > _MOST_BYTES:
        raise ImageError(f"{path}: the file is larger than 2 GiB")
    if size == 0:
        raise ImageError(f"{path}: the file is empty")
    try:
        with file.open("rb") as opened:
            before = os.fstat(opened.fileno())
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
            opened.seek(0)
            yield opened, sha256
            after = os.fstat(opened.fileno())
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error})") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ImageError(f"{path}: the file changed while it was read")


def _regular_file(path: str) -> tuple[Path, int]:
    """Return the file of a path, or of a sample, with its size in bytes.

    Raises UsageError for a missing file, and for a folder or a device.
    """
    file = SAMPLES.get(path, Path(path))
    status = status_of(file)
    if status is None:
        raise UsageError(no_such("file", path))
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{path}: not a file")
    return file, status.st_size


def input_files(job: Job, files_of: ListFiles | None = None) -> list[str]:
    """Return the paths of the image files that a job reads; a style's folder becomes its files.

    `files_of` replaces `style_files`, for callers that cache its results. Raises UsageError for a
    folder without images.
    """
    used = [style for style in job.styles if style.weight]
    list_files = files_of or style_files
    files = [job.content, *(file for style in used for file in list_files(style.image))]
    files += [job.start_path, job.content_mask, *(style.mask for style in used)]
    if job.regions:
        maps = zip(job.regions.styles, job.styles, strict=True)
        files += [job.regions.content, *(path for path, style in maps if style.weight)]
    return [file for file in files if file is not None]


def style_files(path: str) -> list[str]:
    """Return the path of an image, or the paths of the images in a folder, sorted by name.

    Hidden files are left out. Raises UsageError for a folder that cannot be read or has no images.
    """
    if not is_folder(path):
        return [path]
    files = sorted(file.as_posix() for file in images_in(Path(path)))
    if not files:
        raise UsageError(f"{path}: the folder has no image in it that stylectl reads")
    return files


def images_in(folder: Path) -> list[Path]:
    """Return the image files in a folder, in any order, without subfolders and hidden files.

    Raises UsageError for a folder that cannot be read.
    """
    try:
        return [
            file
            for file in folder.iterdir()
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
        ]
    except OSError as error:
        raise UsageError(f"{folder}: the folder cannot be read ({error.strerror})") from None


def is_folder(path: str) -> bool:
    """Return whether the path is that of a folder."""
    status = status_of(Path(path))
    return status is not None and stat.S_ISDIR(status.st_mode)
