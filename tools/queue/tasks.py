"""Tasks: the results of a queue, planned before the work begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.job.building import build_job
from ...core.job.samples import SAMPLES
from ...core.planning.backbones import Backbones
from ...core.planning.planner import make_plan
from ...core.planning.registry import Registry
from .events import Task


class TaskMaker:
    """Makes tasks, each planned once, with backbones that are made once for all of them. `file` is
    a job file's content, which lies beneath the options of each task."""

    def __init__(self, registry: Registry, file: Mapping[str, Any] | None = None) -> None:
        self._registry, self._backbones = registry, Backbones(registry)
        self.file = file

    def task(
        self,
        label: str,
        path: Path,
        options: Mapping[str, Any],
        file: Mapping[str, Any] | None = None,
    ) -> Task:
        """A task of `options`, which may have a `preset`; `file` is in place of the maker's own.

        Raises UsageError and PluginError as `build_job` and `make_plan` do.
        """
        plain = {name: value for name, value in options.items() if name != "preset"}
        job = build_job(plain, self.file if file is None else file, options.get("preset"))
        return Task(label, path, make_plan(job, self._registry, self._backbones))


def check_paths(tasks: Sequence[Task]) -> None:
    """Raises UsageError when two tasks have one path, or one has that of an image that is read."""
    labels: dict[str, str] = {}
    for task in tasks:
        # As on file systems that do not tell capitals apart.
        key = str(task.path.resolve()).casefold()
        if key in labels:
            raise UsageError(
                f"{labels[key]} and {task.label} would both be written to {task.path}; rename an "
                "image, or give the outputs names in a manifest"
            )
        labels[key] = task.label
    inputs = {path: task.label for task in reversed(tasks) for path in task.job.input_paths}
    for path, label in inputs.items():
        if path not in SAMPLES and str(Path(path).resolve()).casefold() in labels:
            raise UsageError(f"{label}: {path} is read, and would be written over")


def png_path(label: str, name: object) -> Path:
    """The path of an output. Raises UsageError for one that is no PNG: only a PNG says whether it
    is finished."""
    if not isinstance(name, str | Path) or Path(name).suffix.lower() != ".png":
        raise UsageError(f"{label}: its output is {name}; name a PNG, *.png")
    return Path(name)
