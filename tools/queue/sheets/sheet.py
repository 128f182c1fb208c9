"""Sweep: the cells of a grid, and their contact sheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ....core.errors import StylectlError, UsageError
from ....core.files import check_is_no_input, check_output, shortened
from ....core.job.paths import JobFile
from ....core.outputs.targets import files_read
from ....core.run.job_run import Saving
from ....core.run.session import Session
from ....plugins.manager import Plugins
from ..events import QueueListener, Report, Task
from ..settings import Setting
from ..tasks import TaskMaker, check_paths, png_path
from ..worker import run_tasks
from .cells import make_grid
from .contact_sheet import draw_sheet, write_sheet

#: Keys of a job on which neither the network nor the memory that a cell needs depends.
_IRRELEVANT = {"seed", "strength", "terms", "iterations", "init"}


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
    """Make every cell of the `settings`' grid, and draw the sheet `output`.

    The cells are in the folder ``NAME-cells`` beside the sheet. `options` hold for all cells, and
    override the keys of the job `file`. No sheet is drawn if the sweep is interrupted, or if no
    cell could be made: see `Report.has_sheet`.

    Raises UsageError and PluginError before the work begins, and the error of the first cell if
    none can be begun, for the lack of a device, of weights or of memory.
    """
    png_path("the sheet", output)
    check_output(output)
    if not output.parent.is_dir():
        raise UsageError(f"{output}: there is no folder {output.parent}; make it first")
    folder = output.with_name(shortened(f"{output.stem}-cells"))
    grid = make_grid(settings, options, folder, TaskMaker(plugins.registry, file))
    tasks = [cell.task for cell in grid.cells]
    job_file = [file.path] if file and file.path else []
    check_paths(tasks, job_file)
    check_is_no_input([output], [*files_read([task.job for task in tasks]), *job_file])
    report = run_tasks(tasks, plugins, listener, saving, _check_that_one_can_begin)
    if report.has_sheet:
        done = {*report.found, *report.painted}
        cells = [cell for cell in grid.cells if cell.task.path in done]
        files = {(cell.row, cell.column): cell.task.path for cell in cells}
        write_sheet(draw_sheet(grid.columns, grid.rows, files, cell_size), output)
    return report


def _check_that_one_can_begin(session: Session, tasks: Sequence[Task]) -> None:
    """Open the network of the first task that can be begun; raise the first error if none can."""
    errors: list[StylectlError] = []
    for task in _different(tasks):
        try:
            session.open(session.prepare(task.plan))
        except StylectlError as error:
            session.close()
            errors.append(error)
        else:
            return
    raise errors[0]


def _different(tasks: Sequence[Task]) -> Iterator[Task]:
    """Yield one task of each group whose network, images and sizes are the same."""
    seen = set()
    for task in tasks:
        key = str(task.job.model_dump(exclude=_IRRELEVANT)), task.plan.layers
        if key not in seen:
            seen.add(key)
            yield task
