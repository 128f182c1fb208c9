"""A folder of results to vote on: DIR/PAIR/METHOD.png."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from ...core.errors import UsageError
from ...core.files import status_of
from ...core.images.files import images_in, is_folder

#: Names of the files that are shown beside the results, without their suffixes.
CONTENT, STYLE = "content", "style"


@dataclass(frozen=True)
class Entry:
    """Results of one pair of content image and style image, by method.

    `content` and `style` are shown beside them where the folder has them.
    """

    name: str
    results: Mapping[str, Path]
    content: Path | None
    style: Path | None

    @property
    def comparisons(self) -> list[tuple[str, str]]:
        """All pairs of methods."""
        return list(combinations(self.results, 2))


def read_contest(folder: Path) -> list[Entry]:
    """Return the entries of a folder, sorted by name: one for each subfolder with images.

    Hidden ones are left out. Raises UsageError for a folder without subfolders, for a subfolder
    with fewer than two results, and for two files of one name.
    """
    if status_of(folder) is None:
        raise UsageError(f"{folder}: no such folder")
    if not is_folder(str(folder)):
        raise UsageError(f"{folder}: not a folder; --page takes one with a subfolder for each pair")
    try:
        subfolders = [path for path in folder.iterdir() if path.is_dir()]
    except OSError as error:
        raise UsageError(f"{folder}: the folder cannot be read ({error.strerror})") from None
    entries = [_entry(path) for path in sorted(subfolders) if not path.name.startswith(".")]
    if not entries:
        raise UsageError(
            f"{folder}: no subfolder in it; make one for each pair, with a picture of each method: "
            f"{folder.name}/cat-and-stars/balanced.png"
        )
    return entries


def _entry(folder: Path) -> Entry:
    files: dict[str, Path] = {}
    for file in sorted(images_in(folder)):
        if file.stem in files:
            raise UsageError(f"{folder}: {files[file.stem].name} and {file.name} have one name")
        files[file.stem] = file
    content, style = files.pop(CONTENT, None), files.pop(STYLE, None)
    if len(files) < 2:
        raise UsageError(
            f"{folder}: needs the pictures of two methods or more, and has {len(files)}"
        )
    return Entry(folder.name, files, content, style)
