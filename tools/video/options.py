"""Options of a job that a video has."""

from __future__ import annotations

from ...core.job.options.table import OPTIONS

#: Options of a job that have no meaning for a video.
_NOT_OF_VIDEOS = ("texture", "preview", "color_profile", "metadata")

#: Names of the options of a job that a video has.
JOB_OPTIONS = tuple(name for name in OPTIONS if name not in _NOT_OF_VIDEOS)
