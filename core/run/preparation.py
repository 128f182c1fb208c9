"""Preparation of a run: its images are read and all sizes computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..errors import UsageError
from ..fingerprint import fingerprint
from ..images.color_transfer import recolored
from ..images.colors.palettes import Palette, palettes_of
from ..images.files import ListFiles, file_sha256, style_files
from ..images.inputs import Inputs, read_inputs
from ..interfaces.video.former import FormerResults
from ..planning.checks import check_transparency
from ..planning.plan import Plan
from ..planning.scale_sizes import PlannedSizes, ScaleSizes, final_size, scale_sizes
from ..sizes.fitting import Size

#: Name of the hash of what a frame takes over, among those of the files.
_FORMER = "former results"


@dataclass(frozen=True)
class Prepared:
    """A plan with its images and sizes.

    `inputs` are the images as they were read, `recolored` those with the job's transfer of colors
    applied; `scales` go from coarse to fine, at least one; `palettes` are those of the styles, if
    the job's `color` is `chroma`. `former` is what a frame of a video takes over from others.
    """

    plan: Plan
    inputs: Inputs
    recolored: Inputs
    scales: tuple[ScaleSizes, ...]
    palettes: tuple[Palette, ...] = ()
    former: FormerResults | None = None

    @property
    def size(self) -> Size:
        """Size of the result, (height, width) in pixels."""
        return self.scales[-1].scale.size


def prepare(
    plan: Plan,
    files_of: ListFiles = style_files,
    hash_of: Callable[[str], str] = file_sha256,
    former: FormerResults | None = None,
) -> Prepared:
    """Read the plan's images and compute the sizes.

    `files_of` lists the files of a style; `hash_of` returns the SHA-256 of a file that an option
    names. `former` is what a frame of a video takes over from others. Raises UsageError and
    ImageError.
    """
    _check_former(plan, former)
    job, deepest, stride = plan.job, plan.deepest, plan.stride
    inputs = read_inputs(job, files_of, PlannedSizes(job, deepest, stride))
    check_transparency(inputs.styles, plan.terms)
    hashes = {path: hash_of(path) for path in plan.files} | dict(plan.backbone.published)
    if former is not None:
        hashes[_FORMER] = fingerprint(former)
    inputs = replace(inputs, hashes={**inputs.hashes, **hashes})
    size = final_size(job, inputs, deepest, stride)
    colored = recolored(inputs, job.color, size)
    scales = scale_sizes(job, colored.styles, size, deepest, stride)
    palettes = palettes_of(inputs, size) if job.color == "chroma" else ()
    return Prepared(plan, inputs, colored, scales, palettes, former)


def _check_former(plan: Plan, former: FormerResults | None) -> None:
    """Raise UsageError for a loss term that reads former results where there are none."""
    for planned in plan.terms:
        if "former" in planned.term.reads and former is None:
            raise UsageError(
                f"{planned.label} compares with former frames, and an image has none: make a video "
                "with `stylectl video`, or leave the term out"
            )
