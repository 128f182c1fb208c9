"""Previews: the coarse scales of a job.

Results of all sizes begin with the same scales (core/sizes/pyramid.py), so that the first scales
show what the result will look like: a preview stops there.
"""

from __future__ import annotations

from collections.abc import Collection

from ..errors import UsageError
from ..job.model import Job
from ..sizes.fitting import fit
from ..sizes.pyramid import plan_scales

#: Long side of a preview in pixels.
LONG_SIDE = 256

#: Pixels times steps that a preview of a square result may take.
MOST_WORK = 2_000_000


def previewed(job: Job, growing: Collection[str]) -> Job:
    """The same job, small and quick: its scales up to `LONG_SIDE`, with its steps, or as many of
    them as `MOST_WORK` allows.

    `growing` are the names of the terms whose losses grow with the result; their weights make up
    for the pixels that are missing. Raises UsageError when the job is no larger than a preview.
    """
    sides = job.size if isinstance(job.size, tuple) else (job.size, job.size)
    if max(sides) <= LONG_SIDE:
        raise UsageError(
            f"preview has no effect: a preview has {LONG_SIDE} px, and the job's size is "
            f"{max(sides)}; for a quicker result take fewer iterations"
        )
    small = fit(sides, LONG_SIDE)
    scales = job.scales
    if scales != "auto":
        whole = plan_scales(sides, scales, job.iterations, 1)
        scales = max(sum(max(scale.size) <= LONG_SIDE for scale in whole), 1)
    planned = plan_scales(small, scales, job.iterations, 1)
    work = sum(scale.pixels * scale.steps for scale in planned)
    steps = max(round(job.iterations * min(MOST_WORK / work, 1)), 1)
    larger = (max(sides) / LONG_SIDE) ** 2
    terms = tuple(
        term.model_copy(update={"weight": term.weight * larger}) if term.name in growing else term
        for term in job.terms
    )
    size = small if isinstance(job.size, tuple) else LONG_SIDE
    changes = {"size": size, "scales": scales, "iterations": steps, "terms": terms}
    return job.model_copy(update={**changes, "preview": False})
