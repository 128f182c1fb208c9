"""Tasks of a queue: results that are planned before the work begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.files import check_is_no_input, real_path
from ...core.job.model import Job
from ...core.job.paths import JobFile
from ...core.outputs.targets import files_read
from ...core.planning.backbones import Backbones
from ...core.planning.job_files import make_job
from ...core.planning.planner import make_plan
from ...core.planning.registry import Registry
from .events import Task


class TaskMaker:
    """Factory of tasks, which plans each task once and makes each backbone once for all of them.

    `file` is a job file, which the options of each task override.
    """

    def __init__(self, registry: Registry, file: JobFile | None = None) -> None:
        self.registry, self._backbones = registry, Backbones(registry)
        self.file = file

    def task(
        self,
        label: str,
        path: Path,
        options: Mapping[str, Any],
        entry: JobFile | None = None,
    ) -> Task:
        """Return a task of `options`, which may have a `preset`.

        `entry` has keys of a job, which override those of the job file.

        Raises UsageError and PluginError as `make_job` and `make_plan` do.
        """
        job = self.job(options, entry)
        return Task(label, path, make_plan(job, self.registry, self._backbones))

    def job(self, options: Mapping[str, Any], entry: JobFile | None = None) -> Job:
        """Return the job of a task. Raises UsageError and PluginError as `make_job` does."""
        job_options = {name: value for name, value in options.items() if name != "preset"}
        return make_job(job_options, self.registry, self.file, options.get("preset"), entry)


def check_paths(tasks: Sequence[Task], files: Iterable[Path | None] = ()) -> None:
    """Check that no task would overwrite a result of another one, or a file that is read.

    `files` are read beside the tasks' own, such as a job file. Raises UsageError.
    """
    labels: dict[str, str] = {}
    for task in tasks:
        # Some file systems do not distinguish upper and lower case.
        key = str(real_path(task.path)).casefold()
        if key in labels:
            raise UsageError(
                f"{labels[key]} and {task.label} would both be written to {task.path}; rename an "
                "image, or give the outputs names in a manifest"
            )
        labels[key] = task.label
    inputs = [*files_read([task.job for task in tasks]), *filter(None, files)]
    check_is_no_input([task.path for task in tasks], inputs)


def png_path(label: str, name: object) -> Path:
    """Return the path of an output.

    Raises UsageError for one that is no PNG: only a PNG records whether it is finished.
    """
    if not isinstance(name, str | Path) or Path(name).suffix.lower() != ".png":
        raise UsageError(f"{label}: the output is {name}; it should be a PNG, *.png")
    return Path(name)
