"""Checks of a job as a whole: options without an effect, and options that exclude each other."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from ..job.choices import TermChoice
from ..job.model import Job
from ..optimizers.initializers import Initializer
from .terms import PlannedTerm


def without_effect(job: Job, random: bool, balanced: bool) -> set[str]:
    """The job's keys that would change nothing. Raises UsageError if one of them was set for this
    job, and not taken from a job file beneath other options."""
    reasons = {}
    if not random:
        reasons["seed"] = (
            f"nothing is random when init is {job.init.name!r}; "
            "leave it out, or start from content+noise"
        )
    if not balanced:
        reasons["strength"] = (
            "it weighs terms that bring the style against terms that keep the content, and the job "
            "has only one kind; change a term's own weight"
        )
    for key, reason in reasons.items():
        if key in job.model_fields_set:
            raise UsageError(f"{key} has no effect: {reason}")
    return set(reasons)


def check_texture(
    terms: Sequence[tuple[TermChoice, PlannedTerm]], init: str, initializer: Initializer
) -> None:
    """Raises UsageError for what needs a content image."""
    for _, planned in terms:
        if "content" in planned.term.reads:
            raise UsageError(
                f"{planned.label} compares with a content image, and a texture has none: "
                "leave it out"
            )
    if initializer.shows_content:
        raise UsageError(
            f"init: a texture has no content image, so that it cannot start from {init}; start "
            "from noise, style, or an image file"
        )


def check_regions(job: Job, terms: Sequence[PlannedTerm]) -> None:
    """Raises UsageError when a mask has no effect, or a term does not support regions."""
    confined = {"styles": job.has_style_regions, "content": job.content_mask is not None}
    for what, mask in (("styles", "a style's mask"), ("content", "content_mask")):
        readers = [planned for planned in terms if what in planned.term.reads]
        if not confined[what]:
            continue
        if not readers:
            raise UsageError(f"{mask} has no effect: no loss term reads the {what}")
        for planned in readers:
            # Sums are taken over the styles' regions alone, in a term that reads both.
            if not planned.term.regional or (what == "content" and "styles" in planned.term.reads):
                raise UsageError(
                    f"the loss term {planned.name} cannot be confined to a region; "
                    "leave out the mask or the term"
                )


def check_colors(job: Job, terms: Sequence[PlannedTerm]) -> None:
    """Raises UsageError for a transfer of colors that has no effect."""
    reads_styles = any("styles" in planned.term.reads for planned in terms)
    if job.color in ("histogram", "covariance") and not reads_styles and job.init.name != "style":
        raise UsageError(f"color {job.color!r} has no effect: no loss term reads the styles")
