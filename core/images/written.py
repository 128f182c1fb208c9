"""Check of image files that were just written: no part of them is missing."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ..errors import OutputError
from .formats.pillow_limits import unlimited_pillow

#: Formats that are checked -> suffixes whose files must have the format.
_SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "GIF": (".gif",),
    "WEBP": (".webp",),
}


def check_complete(file: Path) -> None:
    """Check a PNG, JPEG, GIF or WebP from its header to its end; other formats pass.

    A file counts as one of these by its content. Little memory is needed: of a JPEG, which has no
    mark of its length, an image of an eighth of its sides is decoded. Raises OutputError, with a
    message that does not name the file.
    """
    try:
        with warnings.catch_warnings(), unlimited_pillow():
            warnings.simplefilter("ignore")
            _check(file)
    except UnidentifiedImageError:
        suffix = file.suffix.lower()
        for name, suffixes in _SUFFIXES.items():
            if suffix in suffixes:
                raise OutputError(f"the file is damaged: not a {name} image") from None
    except OutputError:
        raise
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise OutputError(f"the file is damaged: {error}") from None


def _check(file: Path) -> None:
    with Image.open(file, formats=tuple(_SUFFIXES)) as image:
        match image.format:
            case "PNG":
                image.verify()  # reads every chunk, and compares its checksum
            case "GIF":
                _check_end(file, b"\x3b")
            case "WEBP":
                _check_length(file)
            case _:
                image.draft("RGB", (max(1, image.width // 8), max(1, image.height // 8)))
                image.load()


def _check_end(file: Path, end: bytes) -> None:
    with file.open("rb") as stream:
        stream.seek(-len(end), os.SEEK_END)
        if stream.read() != end:
            raise OutputError("the file is damaged: its end is missing")


def _check_length(file: Path) -> None:
    """Check the length of a RIFF file, which its bytes 4 to 7 state without the first 8 bytes."""
    with file.open("rb") as stream:
        stated = 8 + int.from_bytes(stream.read(8)[4:], "little")
    if file.stat().st_size < stated:
        raise OutputError("the file is damaged: its end is missing")
