"""Tasks of a queue: results that are planned before the work begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.job.model import Job
from ...core.job.paths import SAMPLES, JobFile
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


def check_paths(tasks: Sequence[Task]) -> None:
    """Raise UsageError when two tasks have one path, or a task has the path of an input image."""
    labels: dict[str, str] = {}
    for task in tasks:
        # Some file systems do not distinguish upper and lower case.
        key = str(task.path.resolve()).casefold()
        if key in labels:
            raise UsageError(
                f"{labels[key]} and {task.label} would both be written to {task.path}; rename an "
                "image, or give the outputs names in a manifest"
            )
        labels[key] = task.label
    inputs = {
        path: task.label
        for task in reversed(tasks)
        for path in (*task.job.input_paths, *task.plan.files)
    }
    for path, label in inputs.items():
        if path not in SAMPLES and str(Path(path).resolve()).casefold() in labels:
            raise UsageError(f"{label}: {path} is an input and would be overwritten")


def png_path(label: str, name: object) -> Path:
    """Return the path of an output.

    Raises UsageError for one that is no PNG: only a PNG records whether it is finished.
    """
    if not isinstance(name, str | Path) or Path(name).suffix.lower() != ".png":
        raise UsageError(f"{label}: the output is {name}; it should be a PNG, *.png")
    return Path(name)
