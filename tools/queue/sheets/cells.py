"""Cells of a sweep: every combination of the settings' values, as tasks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ....core.errors import StylectlError, UsageError
from ..events import Task
from ..settings import Setting
from ..tasks import TaskMaker

#: Longest file name, without its suffix; a longer one is cut and made unique by a hash.
_LONGEST_NAME = 120


@dataclass(frozen=True)
class Cell:
    """Cell of the grid, with its task."""

    row: int
    column: int
    task: Task


@dataclass(frozen=True)
class Grid:
    """Layout of a sweep.

    The first setting runs along the columns; the rows are the combinations of the others.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[Cell, ...]


def make_grid(
    settings: Sequence[Setting], options: Mapping[str, Any], folder: Path, maker: TaskMaker
) -> Grid:
    """Return the grid of all `settings` with several values.

    Settings with one value hold for all cells, as `options` do. The results are in `folder`.

    Raises UsageError and PluginError for the first cell whose job is wrong, and UsageError when no
    setting has several values.
    """
    axes = [setting for setting in settings if len(setting.values) > 1]
    if not axes:
        raise UsageError("nothing to sweep: give a --set several values, such as style_weight=3,30")
    single = [setting for setting in settings if len(setting.values) == 1]
    fixed = {setting.key: setting.values[0][1] for setting in single}
    column_axis, row_axes = axes[0], axes[1:]
    rows = list(product(*(axis.values for axis in row_axes)))
    cells = []
    for row, row_values in enumerate(rows):
        for column, column_value in enumerate(column_axis.values):
            choices = list(zip(axes, [column_value, *row_values], strict=True))
            texts = [(axis.key, text) for axis, (text, _) in choices]
            values = {axis.key: value for axis, (_, value) in choices}
            label = ", ".join(f"{key} {text}" for key, text in texts)
            try:
                path = folder / _file_name(texts)
                task = maker.task(label, path, {**options, **fixed, **values})
            except StylectlError as error:
                raise error.reworded(f"{label}: {error}") from error.__cause__
            cells.append(Cell(row, column, task))
    return Grid(
        columns=tuple(f"{column_axis.key} {text}" for text, _ in column_axis.values),
        rows=tuple(
            "\n".join(
                f"{axis.key} {text}" for axis, (text, _) in zip(row_axes, row_values, strict=True)
            )
            for row_values in rows
        ),
        cells=tuple(cells),
    )


def _file_name(texts: Sequence[tuple[str, str]]) -> str:
    """Return the file name of a cell, such as ``style_weight=1e2_preset=draft.png``.

    Characters that not every file system supports become dashes; a name that this changes, or that
    is cut, gets a hash of the full name.
    """
    name = "_".join(f"{key}={text}" for key, text in texts)
    plain = re.sub(r"[^\w.,=+-]", "-", name, flags=re.ASCII)[:_LONGEST_NAME]
    if plain != name:
        plain += "-" + hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{plain}.png"
