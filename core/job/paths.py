"""Paths of files in a job's plain values, and their relocation to another folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .tables import choice_table, init_table

_SAMPLE_FOLDER = Path(__file__).parent.parent.parent / "examples"

#: Names in a job of the sample pair, which ships with the package -> files.
SAMPLES = {
    "sample:photo": _SAMPLE_FOLDER / "photo.jpg",
    "sample:painting": _SAMPLE_FOLDER / "painting.jpg",
}

_PARENTS_OF_HOMES = (Path("/home"), Path("/Users"), Path("/var/home"), Path("/export/home"))

_NETWORK_FILES = (".safetensors", ".pth", ".pt", ".onnx")

#: Options of choices whose values may be files: (the choice, the option).
_CHOICE_PATHS = (("init", "path"), ("backbone", "weights"), ("backbone", "model"))


def map_paths(table: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Return a job's plain values with `change` applied to each path of a file."""

    def changed(value: object) -> object:
        return change(value) if isinstance(value, str) and value not in SAMPLES else value

    def changed_in(value: object, *keys: str) -> object:
        """Change the paths under these keys of a table; a value that is no table is a path."""
        if not isinstance(value, dict):
            return changed(value)
        return {**value, **{key: changed(value[key]) for key in keys if key in value}}

    table = dict(table)
    for key in ("content", "content_mask"):
        if key in table:
            table[key] = changed(table[key])
    if isinstance(styles := table.get("styles"), list | tuple):
        table["styles"] = [changed_in(style, "image", "mask") for style in styles]
    if isinstance(regions := table.get("regions"), dict):
        table["regions"] = changed_in(regions, "content")
        if isinstance(maps := regions.get("styles"), list | tuple):
            table["regions"] |= {"styles": [changed(path) for path in maps]}
    for key, option in _CHOICE_PATHS:
        choice = table.get(key)
        if isinstance(choice, str):
            choice = init_table(choice) if key == "init" else choice_table(choice)
        if isinstance(choice, dict) and is_path(choice.get(option), option):
            table[key] = {**choice, option: changed(choice[option])}
    return table


def is_path(value: object, option: str) -> bool:
    """Return whether an option's value names a file.

    The option `path` always does; a network's file is recognised by its suffix.
    """
    return isinstance(value, str) and (option == "path" or value.endswith(_NETWORK_FILES))


def relocated(path: str, base: Path, to: Path) -> str:
    """Return `path`, which is relative to the folder `base`, relative to the folder `to`.

    An absolute path is returned unchanged.
    """
    if Path(path).is_absolute():
        return path
    try:
        return Path(os.path.relpath(base / path, to)).as_posix()
    except ValueError:  # another drive on Windows
        return str((base / path).resolve())


def recorded_path(path: str, base: Path, folder: Path) -> str:
    """Return `path`, which is relative to `base`, as the record of a result in `folder` has it.

    That is relative to `folder`, and names no home folder that the result is not in: a file in the
    user's home folder is then ``~/...``, and one in another's is its name alone.
    """
    if path in SAMPLES:
        return path
    file, home = Path(os.path.normpath(base / path)), Path.home()
    try:
        relative = Path(os.path.relpath(file, folder))
    except ValueError:  # another drive on Windows
        relative = file
    below_common = sum(part != ".." for part in relative.parts)
    if not any(_is_home(parent) for parent in (file, *file.parents)[:below_common]):
        return relative.as_posix()
    return f"~/{file.relative_to(home).as_posix()}" if file.is_relative_to(home) else file.name


def without_tilde(path: str) -> str:
    """Return a path of a record with the user's home folder in the place of ``~``."""
    return str(Path.home() / path[2:]) if path.startswith("~/") else path


def _is_home(folder: Path) -> bool:
    """Return whether a folder is someone's home folder, by its place."""
    is_users = folder.parent in _PARENTS_OF_HOMES or folder.parent == Path(folder.anchor, "Users")
    return is_users or folder in (Path.home(), Path("/root"))
