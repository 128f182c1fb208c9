"""Previews: the coarse scales of a job.

Results of all sizes start with the same scales (core/sizes/pyramid.py). The first scales therefore
show what the result will look like, and a preview stops there.
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
    """Return the job's preview: its scales up to `LONG_SIDE`.

    It has the job's steps, or as many of them as `MOST_WORK` allows. `growing` are the names of the
    terms whose losses grow with the size of the result; their weights are multiplied by the ratio
    of the pixels. Raises UsageError when the job is no larger than a preview.
    """
    sides = job.size if isinstance(job.size, tuple) else (job.size, job.size)
    if max(sides) <= LONG_SIDE:
        raise UsageError(
            f"preview has no effect: a preview has {LONG_SIDE} px, and the job's size is "
            f"{max(sides)}; for a quicker result take fewer iterations"
        )
    preview_sides = fit(sides, LONG_SIDE)
    scales = job.scales
    if isinstance(scales, int):
        job_scales = plan_scales(sides, scales, job.iterations, 1)
        scales = max(sum(max(scale.size) <= LONG_SIDE for scale in job_scales), 1)
    preview_scales = plan_scales(
        preview_sides, scales, job.iterations, 1, final_pass=job.final_pass
    )
    work = sum(scale.pixels * scale.steps for scale in preview_scales)
    steps = max(round(job.iterations * min(MOST_WORK / work, 1)), 1)
    pixel_ratio = (max(sides) / LONG_SIDE) ** 2
    terms = tuple(
        term.model_copy(update={"weight": term.weight * pixel_ratio})
        if term.name in growing
        else term
        for term in job.terms
    )
    size = preview_sides if isinstance(job.size, tuple) else LONG_SIDE
    changes = {"size": size, "scales": scales, "iterations": steps, "terms": terms}
    return job.model_copy(update={**changes, "preview": False})
