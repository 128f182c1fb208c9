"""Manifests: CSV or TOML files that list the results of a batch."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ...core.errors import StylectlError, UsageError
from ...core.files import current_folder, no_such, read_file, real_path, status_of, text_of
from ...core.job.model import Job, is_pair
from ...core.job.options.names import option_named
from ...core.job.options.option import relocated_value
from ...core.job.paths import SAMPLES, JobFile, relocated
from ...core.job.tables import laid_over, regular
from ...core.job.toml import parsed_toml
from ...core.outputs.names import result_stem
from .events import Task
from .settings import setting_named
from .tasks import TaskMaker

_MOST_BYTES = 10_000_000
#: Wrong entries that an error message lists; the others are only counted.
_MOST_NAMED = 20


@dataclass(frozen=True)
class _Entry:
    """Entry of a manifest: options, keys of a job, and the name of the output."""

    options: Mapping[str, Any]
    table: Mapping[str, Any]
    output: str | None


def manifest_tasks(
    manifest: Path,
    folder: Path,
    options: Mapping[str, Any],
    maker: TaskMaker,
) -> list[Task]:
    """Return the tasks of a manifest, in its order.

    Paths in a manifest are relative to its own folder, those of outputs to `folder`. Each entry
    overrides the maker's job file, and `options` override all entries.

    Raises one UsageError that lists the wrong entries with their mistakes.
    """
    kinds = {".csv": (_csv_rows, _csv_entry), ".toml": (_toml_rows, _toml_entry)}
    if manifest.suffix.lower() not in kinds:
        raise UsageError(f"{manifest}: a manifest is a .csv or a .toml file")
    read_rows, read_entry = kinds[manifest.suffix.lower()]
    builder = _Builder(manifest.parent, folder, options, maker)
    tasks, problems = [], []
    for location, row in read_rows(_text(manifest), str(manifest)):
        try:
            tasks.append(builder.task(location, read_entry(row)))
        except StylectlError as error:
            problems.append(f"{location}: {error}")
    if problems:
        more = len(problems) - _MOST_NAMED
        raise UsageError("; ".join(problems[:_MOST_NAMED] + [f"and {more} more"] * (more > 0)))
    if not tasks:
        raise UsageError(
            f"{manifest}: has no entries; add a line (CSV) or a table [[pictures]] (TOML) for each"
        )
    return tasks


@dataclass(frozen=True)
class _Builder:
    """Builder of tasks from entries; `base` is the manifest's folder."""

    base: Path
    folder: Path
    options: Mapping[str, Any]
    maker: TaskMaker

    def task(self, location: str, entry: _Entry) -> Task:
        """Return the task of an entry. Raises UsageError, also for a missing image file."""
        keys = JobFile(entry.table, self.base)
        base = self.maker.file.table if self.maker.file else {}
        table = laid_over(regular(base), regular(keys.table))
        options = {**entry.options, **self.options}
        texture = "texture" in options or is_pair(options.get("size", table.get("size")))
        for key in () if texture else ("content", "styles"):
            if key not in table and key not in options:
                raise UsageError(f"names no {key}")
        if entry.options:
            job = self.maker.job(options, keys)
            options = {**self._relocated(entry.options, job), **self.options}
        task = self.maker.task(location, self.folder / "none", options, keys)
        job = task.job
        missing = [
            path
            for path in (*job.input_paths, *task.plan.files)
            if path not in SAMPLES and status_of(Path(path)) is None
        ]
        if missing:
            raise UsageError(", ".join(no_such("file", path) for path in missing))
        name = entry.output or f"{result_stem(job.content, job.styles[0].image)}.png"
        return Task(f"{name} ({location})", self.folder / _checked(name), task.plan)

    def _relocated(self, options: Mapping[str, Any], job: Job) -> dict[str, Any]:
        """Return options with their paths relative to the current folder.

        Which of them are paths depends on the choices of the `job`.
        """
        models = self.maker.registry.option_models

        def here(path: str) -> str:
            return relocated(path, real_path(self.base), current_folder())

        return {
            name: value
            if name == "preset"
            else relocated_value(option_named(name), value, here, job, models)
            for name, value in options.items()
        }


def _checked(name: str) -> str:
    """Return a name, checked to be that of a PNG without folders. Raises UsageError."""
    if not name.lower().endswith(".png"):
        raise UsageError(f"output {name!r}: the results of a batch are PNGs; name it *.png")
    if name != PurePosixPath(name).name or name != PureWindowsPath(name).name:
        raise UsageError(f"output {name!r}: give a file name without folders")
    return name


def _text(manifest: Path) -> str:
    try:
        return text_of(read_file(manifest, _MOST_BYTES, "manifest"))
    except UnicodeError as error:
        raise UsageError(
            f"{manifest}: not a text file in UTF-8 ({error}); in Excel, save it as CSV UTF-8"
        ) from None


def _csv_rows(text: str, manifest: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the location of each line and its values by the header, which is checked here."""
    reader = csv.DictReader(
        io.StringIO(text, newline=""),
        delimiter=_delimiter(text),
        strict=True,
        skipinitialspace=True,
    )
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        columns = [_column(f"{manifest} line 1", name) for name in header]
        if "content" not in columns or "style" not in columns:
            raise UsageError(f"{manifest} line 1: a header is needed: content,style[,output][,...]")
        if len(set(columns)) < len(columns):
            raise UsageError(f"{manifest} line 1: a column is named twice")
        reader.fieldnames = columns
        for row in reader:
            yield f"{manifest} line {reader.line_num}", row
    except csv.Error as error:
        raise UsageError(f"{manifest} line {reader.line_num}: not valid CSV ({error})") from None


def _delimiter(text: str) -> str:
    """Return what separates the values: Excel writes semicolons, or tabs, in many languages."""
    header = text.lstrip().partition("\n")[0]
    return max(",;\t", key=header.count)


def _column(location: str, name: str) -> str:
    if name in ("content", "style", "output"):
        return name
    try:
        option = setting_named(name)
    except UsageError as error:
        raise UsageError(f"{location}: {error}") from None
    if option in ("styles", "texture"):
        raise UsageError(
            f"{location}: the column is `style`; for several styles, and for textures, write a "
            "TOML manifest"
        )
    return option


def _csv_entry(row: Mapping[Any, Any]) -> _Entry:
    if None in row or None in row.values():
        raise UsageError("has more or fewer values than the header has names")
    values = {name: text.strip() for name, text in row.items() if text.strip()}
    for name in ("content", "style"):
        if name not in values:
            raise UsageError(f"names no {name}")
    output, preset = values.pop("output", None), values.pop("preset", None)
    options: dict[str, Any] = {"content": values.pop("content"), "styles": [values.pop("style")]}
    options |= {name: option_named(name).read(name, text) for name, text in values.items()}
    return _Entry(options | ({"preset": preset} if preset else {}), {}, output)


def _toml_rows(text: str, manifest: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the location and the keys of each table [[pictures]]."""
    content = parsed_toml(text, Path(manifest))
    pictures = content.pop("pictures", [])
    if content:
        raise UsageError(
            f"{manifest}: {next(iter(content))}: a manifest has only tables [[pictures]]; "
            "put what holds for all of them into --job or --set"
        )
    if not isinstance(pictures, list) or not all(isinstance(table, dict) for table in pictures):
        raise UsageError(f"{manifest}: pictures should be tables, [[pictures]]")
    lines = [
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if re.match(r"\s*\[\[\s*pictures\s*\]\]", line)
    ]
    for index, picture in enumerate(pictures):
        # Inline tables have no line of their own.
        location = f"line {lines[index]}" if len(lines) == len(pictures) else f"picture {index + 1}"
        yield f"{manifest} {location}", picture


def _toml_entry(row: Mapping[str, Any]) -> _Entry:
    table = dict(row)
    output = table.pop("output", None)
    if output is not None and not isinstance(output, str):
        raise UsageError(f"output should be a file name, got {output!r}")
    return _Entry({}, table, output)
