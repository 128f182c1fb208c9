"""Records of videos, which their files contain, and job files of videos."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.files import current_folder, real_path
from ...core.interfaces.result import RECORD_FORMAT
from ...core.job.paths import JobFile, map_choice, map_paths, recorded_path
from ...core.job.video import VideoSettings
from ...core.outputs.record import read_job_file, recorded_job
from ...core.planning.registry import Registry
from ...core.run.runner import versions
from ...core.validation import validated
from ..clips.records import is_clip, read_any_record
from .planning import VideoPlan


def record_text(
    video: VideoPlan, hashes: Mapping[str, str], frames: int, seconds: float, output: Path
) -> str:
    """Return the record of a video, as JSON; paths are relative to the output's folder."""

    def from_folder(path: str) -> str:
        try:
            return recorded_path(path, current_folder(), real_path(output.parent))
        except UsageError:  # the current folder was deleted during the run
            return path

    job = map_paths(video.plan.job.as_table(), from_folder, video.plan.models)
    values = {
        "format": RECORD_FORMAT,
        "job": {
            **job,
            "video": relocated_settings(video.settings.as_table(), from_folder, video.registry),
        },
        "inputs": {from_folder(path): sha256 for path, sha256 in hashes.items()},
        "versions": versions(),
        "backend": video.plan.backend.name,
        "frames": frames,
        "seconds": round(seconds, 1),
        "interrupted": False,
    }
    return json.dumps(values)


def read_video_job(path: Path, registry: Registry) -> tuple[JobFile, dict[str, Any]]:
    """Read a job file, or the record in a video or a result; return it, and its video's settings.

    Raises UsageError.
    """
    file = read_job_file(path) if not is_clip(path) else recorded_job(read_any_record(path), path)
    table = dict(file.table)
    settings = table.pop("video", {})
    if not isinstance(settings, Mapping):
        raise UsageError(f"{path}: video should be a table of settings")
    return replace(file, table=table), relocated_settings(settings, file.path_here, registry)


def relocated_settings(
    settings: Mapping[str, Any], change: Callable[[str], str], registry: Registry
) -> dict[str, Any]:
    """Return a video's settings with `change` applied to the paths among the flow's options."""
    if "flow" not in settings:
        return dict(settings)
    models = {("flow", spec.name): spec.options for spec in registry.flows}
    return {**settings, "flow": map_choice("flow", settings["flow"], change, models)}


def make_settings(file: Mapping[str, Any], options: Mapping[str, Any]) -> VideoSettings:
    """Return the settings of a job file with `options` laid over them. Raises UsageError."""
    return validated(VideoSettings, {**file, **options}, "video")
