"""The cells of a sweep: every combination of the settings' values, as tasks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ...core.errors import StylectlError, UsageError
from .events import Task
from .settings import Setting
from .tasks import TaskMaker, check_paths

#: A longer file name is cut, and told apart by a hash.
_LONGEST_NAME = 120


@dataclass(frozen=True)
class Cell:
    """A cell of the grid and the task for it."""

    row: int
    column: int
    task: Task


@dataclass(frozen=True)
class Grid:
    """The sweep's layout: the first setting runs along the columns; the rows are the combinations
    of the others."""

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[Cell, ...]


def make_grid(
    settings: Sequence[Setting], options: Mapping[str, Any], folder: Path, maker: TaskMaker
) -> Grid:
    """The grid of all `settings` with several values; those with one hold for all cells, as
    `options` do. The results lie in `folder`.

    Raises UsageError and PluginError for the first cell whose job is wrong, and UsageError when
    there is nothing to sweep.
    """
    axes = [setting for setting in settings if len(setting.values) > 1]
    if not axes:
        raise UsageError("nothing to sweep: give a --set several values, such as style_weight=3,30")
    fixed = {each.key: each.values[0][1] for each in settings if len(each.values) == 1}
    across, down = axes[0], axes[1:]
    rows = list(product(*(axis.values for axis in down)))
    cells = []
    for row, others in enumerate(rows):
        for column, value in enumerate(across.values):
            chosen = list(zip(axes, [value, *others], strict=True))
            texts = [(axis.key, text) for axis, (text, _) in chosen]
            values = {axis.key: read for axis, (_, read) in chosen}
            label = ", ".join(f"{key} {text}" for key, text in texts)
            try:
                path = folder / _file_name(texts)
                task = maker.task(label, path, {**options, **fixed, **values})
            except StylectlError as error:
                raise error.reworded(f"{label}: {error}") from error.__cause__
            cells.append(Cell(row, column, task))
    check_paths([cell.task for cell in cells])
    return Grid(
        columns=tuple(f"{across.key} {text}" for text, _ in across.values),
        rows=tuple(
            "\n".join(f"{axis.key} {text}" for axis, (text, _) in zip(down, others, strict=True))
            for others in rows
        ),
        cells=tuple(cells),
    )


def _file_name(texts: Sequence[tuple[str, str]]) -> str:
    """``style_weight=1e2_preset=draft.png``. Characters that not every file system takes become
    dashes; a name that is changed by that, or cut, gets a hash of the whole."""
    name = "_".join(f"{key}={text}" for key, text in texts)
    plain = re.sub(r"[^\w.,=+-]", "-", name, flags=re.ASCII)[:_LONGEST_NAME]
    if plain != name:
        plain += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain}.png"
