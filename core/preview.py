"""Previews: a job's coarse scales alone.

Pictures of all sizes begin with the same scales (`core/schedule.py`), so that what a job paints
first is what it will look like: a preview stops there.
"""

from __future__ import annotations

from collections.abc import Collection

from .errors import UsageError
from .job import Job
from .schedule import plan_scales

#: Long side of a preview in pixels.
LONG_SIDE = 256

#: Pixels times steps that a preview of a square picture may take.
MOST_WORK = 2_000_000


def previewed(job: Job, growing: Collection[str]) -> Job:
    """The same job, small and quick: its scales up to `LONG_SIDE`, with its steps, or as many of
    them as `MOST_WORK` allows.

    `growing` are the names of the terms whose losses grow with the picture; their weights make up
    for the pixels that are missing. Raises UsageError when the job is no larger than a preview.
    """
    if job.size <= LONG_SIDE:
        raise UsageError(
            f"preview has no effect: a preview has {LONG_SIDE} px, and the job's size is "
            f"{job.size}; for a quicker picture take fewer iterations"
        )
    scales = job.scales
    if scales != "auto":
        whole = plan_scales((job.size, job.size), scales, job.iterations, 1)
        scales = max(sum(scale.width <= LONG_SIDE for scale in whole), 1)
    planned = plan_scales((LONG_SIDE, LONG_SIDE), scales, job.iterations, 1)
    work = sum(scale.pixels * scale.steps for scale in planned)
    steps = max(round(job.iterations * min(MOST_WORK / work, 1)), 1)
    larger = (job.size / LONG_SIDE) ** 2
    terms = tuple(
        term.model_copy(update={"weight": term.weight * larger}) if term.name in growing else term
        for term in job.terms
    )
    changes = {"size": LONG_SIDE, "scales": scales, "iterations": steps, "terms": terms}
    return job.model_copy(update={**changes, "preview": False})
