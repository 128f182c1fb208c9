"""Previews of videos: a few seconds, small, with few frames and steps."""

from __future__ import annotations

from fractions import Fraction

from ...core.errors import UsageError
from ...core.job.model import Job
from ...core.job.video import VideoSettings

#: Long side in pixels, frames per second, and seconds of a preview.
_LONG_SIDE, _RATE, _SECONDS = 192, 8, 2.5

#: Steps of a frame that starts a scene, and of the others.
_STEPS, _FRAME_STEPS = 60, 12


def previewed_video(
    job: Job, settings: VideoSettings, rate: Fraction | None
) -> tuple[Job, VideoSettings]:
    """Return the job and the settings of a preview; `rate` is that of the frames that are taken.

    It begins where the video begins. Raises UsageError for a job that is no larger.
    """
    if isinstance(job.size, int) and job.size <= _LONG_SIDE:
        raise UsageError(
            f"preview has no effect: a preview has {_LONG_SIDE} px, and the job's size is "
            f"{job.size}"
        )
    start = settings.start or 0.0
    end = min(start + _SECONDS, settings.end) if settings.end is not None else start + _SECONDS
    changes: dict[str, object] = {
        "end": end,
        "passes": 1,
        "frame_iterations": min(settings.frame_iterations or _FRAME_STEPS, _FRAME_STEPS),
    }
    if settings.fps is not None:
        changes["fps"] = min(settings.fps, float(_RATE))
    elif rate is not None:
        changes["every"] = settings.every * max(1, round(rate / _RATE))
    small = {"size": _LONG_SIDE, "iterations": min(job.iterations, _STEPS)}
    return job.model_copy(update=small), settings.model_copy(update=changes)
