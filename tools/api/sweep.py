"""`stylectl.sweep`: one job with different settings, from Python."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.files import paths_of
from ...core.interfaces.events import ignore
from ...core.outputs.record import read_job_file
from ...plugins.manager import load_plugins
from ..queue.events import QueueListener, Report
from ..queue.saving import read_saving
from ..queue.settings import Setting, setting_named
from ..queue.sheets.sheet import run_sheet


def sweep(
    output: str | Path,
    axes: Mapping[str, Sequence[Any]],
    *,
    job: str | Path | None = None,
    cell_size: int = 512,
    on_event: QueueListener = ignore,
    checkpoint: bool | str | Path = False,
    checkpoint_every: float | None = None,
    no_plugin: Collection[str] = (),
    plugins_dir: str | Path | Sequence[str | Path] = (),
    preset: str | None = None,
    **options: Any,
) -> Report:
    """Run a job with every combination of the `axes`' values, and draw a contact sheet.

    ``stylectl.sweep("sheet.png", {"style_weight": [3, 30], "preset": ["draft", "paper"]},
    content="photo.jpg", styles=["painting.jpg"])`` draws the sheet `output`, a PNG, with the first
    axis along the columns. `options` hold for all cells, over the job file; `no_plugin` and
    `plugins_dir` are as for `stylectl.run`. The cells are kept in the folder ``sheet-cells`` beside
    the sheet, and made again only if their job or their images changed. With `checkpoint`, as in
    `stylectl.run`, an unfinished cell is resumed by the next call. After Ctrl-C the report is
    `interrupted`, and no sheet is drawn; nor is it if all cells fail. Raises UsageError before the
    work begins, and the error of the first cell if none can be begun; cells that fail later are in
    the report.
    """
    settings = [
        Setting(setting_named(key), tuple((str(value), value) for value in values))
        for key, values in axes.items()
    ]
    common = options | ({"preset": preset} if preset else {})
    plugins = load_plugins(no_plugin, folders=paths_of(plugins_dir))
    file = read_job_file(Path(job)) if job is not None else None
    saving = read_saving(
        checkpoint,
        checkpoint_every,
        no_plugin=no_plugin,
        plugins_dir=paths_of(plugins_dir),
    )
    return run_sheet(settings, common, file, Path(output), cell_size, plugins, on_event, saving)
