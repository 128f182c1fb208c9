"""Paths of files in a job's plain values, and their relocation to another folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ..files import current_folder, real_path
from ..validation import Text, parsed
from .tables import CHOICES, Table

if TYPE_CHECKING:
    from pydantic import BaseModel

    from .model import Job

_SAMPLE_FOLDER = Path(__file__).parent.parent.parent / "examples"

#: Names in a job of the sample pair, which ships with the package -> files.
SAMPLES = {
    "sample:photo": _SAMPLE_FOLDER / "photo.jpg",
    "sample:painting": _SAMPLE_FOLDER / "painting.jpg",
}

_PARENTS_OF_HOMES = (Path("/home"), Path("/Users"), Path("/var/home"), Path("/export/home"))

#: Models of the options of a job's choices, by the job's key (for a loss term: ``terms``) and the
#: choice's name.
OptionModels = Mapping[tuple[str, str], "type[BaseModel]"]

#: Folders of Linux and macOS whose files are devices, or the state of the system.
_DEVICE_FOLDERS = ("/dev", "/proc", "/sys")

#: File names that are devices on Windows, with any suffix.
_DEVICE_NAME = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*([.:].*)?", re.I)


@dataclass(frozen=True)
class JobPath:
    """Mark of an option that is the path of a file, which the job reads.

    It is for the models of options: ``palette: Annotated[str, JobPath]``, also for a list of paths.
    Such a path is relative to the current folder, and in a job file or a manifest to the folder of
    that file. The SHA-256 of the file is part of the record, so that a result of another file is
    made again. With `suffixes`, a value is a path only if it ends with one of them, in lower or
    upper case, as in ``Annotated[str, JobPath(suffixes=(".pth",))]``.
    """

    suffixes: tuple[str, ...] = ()

    def marks(self, value: str) -> bool:
        """Return whether a value of the option is a path."""
        return not self.suffixes or value.lower().endswith(self.suffixes)


def path_options(model: type[BaseModel]) -> dict[str, JobPath]:
    """Return the marks of the model's fields that are marked `JobPath`, by the fields' names."""
    marks = {
        name: _mark_in((*field.metadata, field.annotation))
        for name, field in model.model_fields.items()
    }
    return {name: mark for name, mark in marks.items() if mark is not None}


def map_paths(
    table: Mapping[str, Any],
    change: Callable[[str], str],
    models: OptionModels,
    names: Mapping[str, str] = {},
) -> Table:
    """Return a job's plain values with `change` applied to each path of a file.

    `names` has the names of choices, by the job's key, that the table does not name. The options of
    choices that have no model in `models` are left as they are.
    """

    def changed(value: object) -> object:
        return change(value) if isinstance(value, str) and value not in SAMPLES else value

    def changed_in(value: object, *keys: str) -> object:
        """Change the paths under these keys of a table; a value that is no table is a path."""
        if not isinstance(value, Mapping):
            return changed(value)
        return {**value, **{key: changed(value[key]) for key in keys if key in value}}

    table = dict(table)
    for key in ("content", "content_mask"):
        if key in table:
            table[key] = changed(table[key])
    if isinstance(styles := table.get("styles"), list | tuple):
        table["styles"] = [changed_in(style, "image", "mask") for style in styles]
    if isinstance(regions := table.get("regions"), Mapping):
        table["regions"] = changed_in(regions, "content")
        if isinstance(maps := regions.get("styles"), list | tuple):
            table["regions"] |= {"styles": [changed(path) for path in maps]}
    for key, read in CHOICES.items():
        if key in table:
            choice = read(table[key]) if isinstance(table[key], str) else table[key]
            mapped = map_choice(key, choice, change, models, names.get(key))
            table[key] = table[key] if mapped == choice else mapped
    if isinstance(terms := table.get("terms"), list | tuple):
        table["terms"] = [map_choice("terms", term, change, models) for term in terms]
    return table


def map_choice(
    key: str,
    choice: object,
    change: Callable[[str], str],
    models: OptionModels,
    default_name: str | None = None,
) -> Any:
    """Return a choice's table with `change` applied to the paths among its options.

    `key` is the job's; `default_name` is the name of a choice that has none. A value that is no
    table is returned as it is.
    """
    if not isinstance(choice, Mapping):
        return choice
    name = choice.get("name", default_name)
    model = models.get((key, name)) if isinstance(name, str) else None
    changed: Table = dict(choice)
    if model is None:
        return changed
    for option, mark in path_options(model).items():
        if option in choice:
            value = choice[option]
            if isinstance(value, Text):
                value = parsed(value, model.model_fields[option].annotation)
            changed[option] = _changed_option(value, mark, change)
    return changed


@dataclass(frozen=True)
class JobFile:
    """Plain values of a job, with the folder to which their paths are relative.

    `path` is the file itself, if they are those of a file. `hashes` are those of a record: the
    SHA-256 of the files that its result was made from, by their paths.
    """

    table: Mapping[str, Any]
    folder: Path
    path: Path | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)

    def here(self, models: OptionModels, names: Mapping[str, str] = {}) -> Table:
        """Return the values with their paths relative to the current folder. See `map_paths`."""
        return map_paths(self.table, self.path_here, models, names)

    def elsewhere(self, models: OptionModels, names: Mapping[str, str] = {}) -> frozenset[str]:
        """Return the paths, as in `here`, that are on other machines or of devices."""
        paths: set[str] = set()

        def noted(path: str) -> str:
            if is_elsewhere(path, real_path(self.folder)):
                paths.add(self.path_here(path))
            return path

        map_paths(self.table, noted, models, names)
        return frozenset(paths)

    def hashes_here(self) -> dict[str, str]:
        """Return `hashes` by paths relative to the current folder."""
        return {
            self.path_here(path) if is_in_file_system(path) else path: sha256
            for path, sha256 in self.hashes.items()
        }

    def path_here(self, path: str) -> str:
        """Return a path in the file, relative to the current folder."""
        return relocated(without_tilde(path), real_path(self.folder), current_folder())


def option_paths(job: Job, models: OptionModels) -> list[str]:
    """Return the paths of the files that options of the job's choices name, each once.

    Samples are left out.
    """
    paths: list[str] = []

    def noted(path: str) -> str:
        paths.append(path)
        return path

    for key in CHOICES:
        map_choice(key, getattr(job, key).model_dump(), noted, models)
    for term in job.terms:
        map_choice("terms", term.model_dump(), noted, models)
    return list(dict.fromkeys(paths))


def relocated(path: str, base: Path, to: Path) -> str:
    """Return `path`, which is relative to the folder `base`, relative to the folder `to`.

    An absolute path is returned unchanged.
    """
    if Path(path).is_absolute() or _is_unc(path):
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
    if not is_in_file_system(path):
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


def is_in_file_system(path: str) -> bool:
    """Return whether the name of an input is a path: not a sample's, nor the address of weights."""
    return path not in SAMPLES and not path.startswith("https://")


def without_tilde(path: str) -> str:
    """Return a path of a record with the user's home folder in the place of ``~``."""
    return str(Path.home() / path[2:]) if path.startswith("~/") else path


def _is_home(folder: Path) -> bool:
    """Return whether a folder is someone's home folder, by its place."""
    is_users = folder.parent in _PARENTS_OF_HOMES or folder.parent == Path(folder.anchor, "Users")
    return is_users or folder in (Path.home(), Path("/root"))


def is_elsewhere(path: str, folder: Path, windows: bool = os.name == "nt") -> bool:
    r"""Return whether a path is on another machine (``\\host\share``), or that of a device.

    A relative path is relative to `folder`, which may itself be on another machine. Opening such a
    path may send the user's credentials to the other machine, or wait forever.
    """
    if _is_unc(path):
        return True
    if windows:
        return any(_DEVICE_NAME.fullmatch(name) for name in re.split(r"[\\/]", path))
    absolute = Path(os.path.normpath(folder / path))
    is_in_memory = absolute.is_relative_to("/dev/shm")
    return not is_in_memory and any(absolute.is_relative_to(name) for name in _DEVICE_FOLDERS)


def _is_unc(path: str) -> bool:
    r"""Return whether a path begins like ``\\host\share`` or a Windows device, ``\\.\name``."""
    return path.replace("\\", "/").startswith("//")


def _mark_in(parts: Iterable[object]) -> JobPath | None:
    """Return the first mark among the metadata and the arguments of types, however deep."""
    for part in parts:
        if part is JobPath:
            return JobPath()
        mark = part if isinstance(part, JobPath) else _mark_in(get_args(part))
        if mark is not None:
            return mark
    return None


def _changed_option(value: object, mark: JobPath, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return change(value) if mark.marks(value) and value not in SAMPLES else value
    if isinstance(value, list | tuple):
        return [_changed_option(item, mark, change) for item in value]
    return value
