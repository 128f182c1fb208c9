"""Sweep: the cells of a grid, and their contact sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.job.paths import JobFile
from ...core.run.job_run import Saving
from ...plugins.manager import Plugins
from .cells import make_grid
from .contact_sheet import draw_sheet, write_sheet
from .events import QueueListener, Report
from .settings import Setting
from .tasks import TaskMaker, png_path
from .worker import run_tasks


def run_sheet(
    settings: Sequence[Setting],
    options: Mapping[str, Any],
    file: JobFile | None,
    output: Path,
    cell_size: int,
    plugins: Plugins,
    listener: QueueListener,
    saving: Saving = Saving(),  # noqa: B008 - frozen
) -> Report:
    """Make every cell of the `settings`' grid, and draw the sheet `output` unless interrupted.

    The cells are in the folder ``NAME-cells`` beside the sheet. `options` hold for all cells, and
    override the keys of a job `file`.

    Raises UsageError and PluginError before the work begins.
    """
    folder = output.with_name(f"{output.stem}-cells")
    grid = make_grid(settings, options, folder, TaskMaker(plugins.registry, file))
    png_path("the sheet", output)
    if not output.parent.is_dir() or output.is_dir():
        raise UsageError(
            f"{output}: no file can be written there; name one in a folder that exists"
        )
    report = run_tasks([cell.task for cell in grid.cells], plugins, listener, saving)
    if not report.interrupted:
        done = {*report.found, *report.painted}
        cells = [cell for cell in grid.cells if cell.task.path in done]
        files = {(cell.row, cell.column): cell.task.path for cell in cells}
        write_sheet(draw_sheet(grid.columns, grid.rows, files, cell_size), output)
    return report
