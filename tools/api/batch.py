"""`stylectl.batch`: many results from Python."""

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
from ..queue.tasks import TaskMaker, check_paths, png_path
from ..queue.worker import run_tasks


def batch(
    pictures: Sequence[Mapping[str, Any]],
    *,
    job: str | Path | None = None,
    on_event: QueueListener = ignore,
    checkpoint: bool | str | Path = False,
    checkpoint_every: float | None = None,
    no_plugin: Collection[str] = (),
    plugins_dir: str | Path | Sequence[str | Path] = (),
    preset: str | None = None,
    **options: Any,
) -> Report:
    """Make many results and return a report.

    Each of the `pictures` has the options of `stylectl.run` and its `output`, a PNG, as in
    ``{"content": "photo.jpg", "styles": ["painting.jpg"], "output": "out.png"}``. `options` hold
    for all results that do not override them. `no_plugin` and `plugins_dir` are as for
    `stylectl.run`.

    Finished results are found and not made again; what jobs have in common is computed once. With
    `checkpoint`, as in `stylectl.run`, an unfinished result is resumed by the next call. Raises
    UsageError before the work begins; results that fail later are in the report.
    """
    plugins = load_plugins(no_plugin, folders=paths_of(plugins_dir))
    file = read_job_file(Path(job)) if job is not None else None
    maker = TaskMaker(plugins.registry, file)
    common = options | ({"preset": preset} if preset else {})
    tasks = []
    for number, picture in enumerate(pictures, start=1):
        picture_options = {key: value for key, value in picture.items() if key != "output"}
        label = f"picture {number}"
        path = png_path(label, picture.get("output"))
        tasks.append(maker.task(label, path, {**common, **picture_options}))
    check_paths(tasks, [file.path] if file else [])
    saving = read_saving(
        checkpoint,
        checkpoint_every,
        no_plugin=no_plugin,
        plugins_dir=paths_of(plugins_dir),
    )
    return run_tasks(tasks, plugins, on_event, saving)
