"""What a run starts with: the plan, its images, and all sizes."""

from __future__ import annotations

from dataclasses import dataclass

from ..images.color_transfer import recolored
from ..images.inputs import Inputs, read_inputs
from ..planning.plan import Plan
from ..planning.scale_sizes import ScaleSizes, final_size, scale_sizes
from ..sizes.fitting import Size


@dataclass(frozen=True)
class Prepared:
    """A plan with its images and sizes: `inputs` as they were read, `recolored` with the colors
    that the job asks for; `scales` from coarse to fine, at least one."""

    plan: Plan
    inputs: Inputs
    recolored: Inputs
    scales: tuple[ScaleSizes, ...]

    @property
    def size(self) -> Size:
        """(height, width) of the result."""
        return self.scales[-1].scale.size


def prepare(plan: Plan) -> Prepared:
    """Read the plan's images and compute the sizes. Raises UsageError and ImageError."""
    job, deepest, stride = plan.job, plan.deepest, plan.stride
    inputs = read_inputs(job)
    size = final_size(job, inputs, deepest, stride)
    colored = recolored(inputs, job.color, size)
    return Prepared(plan, inputs, colored, scale_sizes(job, colored.styles, size, deepest, stride))
