"""`stylectl.sweep` and `stylectl.batch`: many pictures from Python."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..core.events import ignore
from ..core.jobfile import read_job_file
from ..plugins.manager import Plugins, load_plugins
from .cells import make_grid
from .contact_sheet import draw_sheet, write_sheet
from .queue_events import QueueListener, Report
from .settings import Setting, option_named
from .tasks import check_paths, make_task, paint_all, png_path


def sweep(
    output: str | Path,
    axes: Mapping[str, Sequence[Any]],
    *,
    job: str | Path | None = None,
    cell_size: int = 512,
    on_event: QueueListener = ignore,
    no_plugin: Collection[str] = (),
    preset: str | None = None,
    **options: Any,
) -> Report:
    """Paint a job with every combination of the `axes`' values, and draw a contact sheet.

    ``stylectl.sweep("sheet.png", {"style_weight": [3, 30], "preset": ["draft", "paper"]},
    content="photo.jpg", styles=["painting.jpg"])`` draws the sheet `output`, a PNG, with the first
    axis along the columns. `options` hold for all cells, over the job file. The cells are kept in
    the folder ``sheet-cells`` beside the sheet, and painted again only if their job or their images
    changed. After Ctrl-C the report says so, and there is no sheet. Raises UsageError before
    the work begins; what fails on the way is in the report.
    """
    settings = [
        Setting(option_named(key), tuple((str(value), value) for value in values))
        for key, values in axes.items()
    ]
    common = options | ({"preset": preset} if preset else {})
    file = read_job_file(Path(job)) if job is not None else None
    plugins = load_plugins(no_plugin)
    return paint_sheet(settings, common, file, Path(output), cell_size, plugins, on_event)


def paint_sheet(
    settings: Sequence[Setting],
    options: Mapping[str, Any],
    file: Mapping[str, Any] | None,
    output: Path,
    cell_size: int,
    plugins: Plugins,
    listener: QueueListener,
) -> Report:
    """As `sweep`, of settings that are read."""
    folder = output.with_name(f"{output.stem}-cells")
    grid = make_grid(settings, options, file, folder, plugins.registry)
    png_path("the sheet", output)
    if not output.parent.is_dir() or output.is_dir():
        raise UsageError(
            f"{output}: no file can be written there; name one in a folder that exists"
        )
    report = paint_all([cell.task for cell in grid.cells], plugins, listener)
    if not report.interrupted:
        done = {*report.found, *report.painted}
        cells = [cell for cell in grid.cells if cell.task.path in done]
        pictures = {(cell.row, cell.column): cell.task.path for cell in cells}
        write_sheet(draw_sheet(grid.columns, grid.rows, pictures, cell_size), output)
    return report


def batch(
    pictures: Sequence[Mapping[str, Any]],
    *,
    job: str | Path | None = None,
    on_event: QueueListener = ignore,
    no_plugin: Collection[str] = (),
    preset: str | None = None,
    **options: Any,
) -> Report:
    """Paint many pictures: each has the options of `stylectl.run` and its `output`, a PNG, as in
    ``{"content": "photo.jpg", "styles": ["painting.jpg"], "output": "out.png"}``. `options` hold
    for all that do not say otherwise.

    Finished pictures are found and not painted again; what pictures have in common is computed
    once. Raises UsageError before the work begins; what fails on the way is in the report.
    """
    file = read_job_file(Path(job)) if job is not None else None
    plugins = load_plugins(no_plugin)
    common = options | ({"preset": preset} if preset else {})
    tasks = []
    for number, picture in enumerate(pictures, start=1):
        own = {key: value for key, value in picture.items() if key != "output"}
        label = f"picture {number}"
        path = png_path(label, picture.get("output"))
        tasks.append(make_task(label, path, {**common, **own}, file, plugins.registry))
    check_paths(tasks)
    return paint_all(tasks, plugins, on_event)
