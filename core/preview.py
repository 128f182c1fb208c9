"""Previews: a job's coarse scales alone.

Pictures of all sizes begin with the same scales (`core/schedule.py`), so that what a job paints
first is what it will look like: a preview stops there.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from .errors import UsageError
from .job import Job
from .schedule import Scale, plan_scales

#: Long side of a preview in pixels.
LONG_SIDE = 256

#: Pixels times steps that a preview of a square picture may take.
MOST_WORK = 2_500_000


def previewed(job: Job, growing: Collection[str]) -> Job:
    """The same job, small and quick: its scales up to `LONG_SIDE`, with their steps, or as many of
    them as `MOST_WORK` allows.

    `growing` are the names of the terms whose losses grow with the picture; their weights make up
    for the pixels that are missing. Raises UsageError when the job is no larger than a preview.
    """
    if job.size <= LONG_SIDE:
        raise UsageError(
            f"preview has no effect: a preview has {LONG_SIDE} px, and the job's size is "
            f"{job.size}; for a quicker picture take fewer iterations"
        )
    kept = [
        scale
        for scale in plan_scales((job.size, job.size), job.scales, job.iterations, 1)
        if scale.width <= LONG_SIDE
    ]
    scales: int | Literal["auto"] = "auto" if job.scales == "auto" else max(len(kept), 1)
    steps = sum(scale.steps for scale in kept) or job.iterations
    work = _work(plan_scales((LONG_SIDE, LONG_SIDE), scales, steps, 1))
    changes = {
        "preview": False,
        "size": LONG_SIDE,
        "scales": scales,
        "iterations": max(round(steps * min(MOST_WORK / work, 1)), 1),
        "terms": tuple(
            term.model_copy(update={"weight": term.weight * (job.size / LONG_SIDE) ** 2})
            if term.name in growing
            else term
            for term in job.terms
        ),
    }
    return job.model_copy(update=changes)


def _work(scales: Collection[Scale]) -> int:
    return sum(scale.pixels * scale.steps for scale in scales)
