"""Identity of a video: the hash of all that determines its frames."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.fingerprint import fingerprint
from ...core.images.files import file_sha256, input_files
from ...core.job.halves import determining_values
from ...core.job.paths import map_paths, path_options
from ...core.job.video import VideoSettings
from .planning import VideoPlan
from .records import relocated_settings

#: Number of the work folder's format: those of other formats are not used.
FORMAT = 1


def input_hashes(video: VideoPlan, clips: Mapping[str, str]) -> dict[str, str]:
    """Return the hash of each file of a video, by its path in the job.

    `clips` has those of the clip and of the masks that move. Raises UsageError and ImageError.
    """
    job = video.plan.job
    if video.settings.to is not None:  # a style without a weight may get one
        styles = tuple(style.model_copy(update={"weight": 1.0}) for style in job.styles)
        job = job.model_copy(update={"styles": styles})
    hashes = dict(clips)
    paths = [path for path in input_files(job) if path not in clips]
    for path in [*paths, *video.plan.files, *_flow_files(video)]:
        hashes[path] = file_sha256(path)
    return hashes | dict(video.plan.backbone.published)


def identity(video: VideoPlan, hashes: Mapping[str, str]) -> str:
    """Return the hash of all that determines the frames of a video.

    Two videos of equal files under other names have the same.
    """
    plan = video.plan

    def by_content(path: str) -> str:
        return hashes.get(path, path)

    job = plan.determining(map_paths(plan.job.as_table(), by_content, plan.models))
    settings = determining_values(
        VideoSettings,
        relocated_settings(_plain(video.settings.model_dump()), by_content, video.registry),
    )
    values = [FORMAT, _plain(job), settings, sorted(hashes.values())]
    values += [video.iterations, video.flow.fingerprint()]
    return fingerprint(values)


def _flow_files(video: VideoPlan) -> list[str]:
    """Return the files that the options of the optical flow name, such as weights."""
    flow = video.settings.flow
    model, options = video.registry.flows.get(flow.name).options, flow.options
    return [
        options[name]
        for name, mark in path_options(model).items()
        if isinstance(options.get(name), str)
        and mark.marks(options[name])
        and Path(options[name]).is_file()  # and not a pattern of several
    ]


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON gives them back: with lists for tuples."""
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain
