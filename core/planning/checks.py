"""Checks of a job: options without an effect, and options that exclude each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import ImageError, UsageError
from ..interfaces.optimizer import Initializer, Optimizer
from ..job.choices import TermChoice
from ..job.model import NEUTRAL_MOTIFS, Job
from .terms import PlannedTerm
from .weights.motifs import STROKE

if TYPE_CHECKING:
    from ..images.inputs import StyleInput


def without_effect(job: Job, random: bool, balanced: bool, motifs: bool) -> set[str]:
    """Return the job's keys that have no effect.

    `random`: the run draws random numbers; `balanced`: there are terms of style and of content;
    `motifs`: a term of the style reads a layer that represents more than strokes. Raises UsageError
    if such a key was set for this job, and not inherited from a job file beneath other options.
    """
    reasons = {}
    if not random:
        reasons["seed"] = (
            f"nothing is random when init is {job.init.name!r}; "
            "leave it out, or start from content+noise"
        )
    if not balanced:
        reasons["strength"] = (
            "it balances terms of style against terms of content, and the job has only one kind; "
            "change a term's own weight"
        )
    if not motifs:
        reasons["motifs"] = (
            "it scales the weights of deep style layers, and the job has none with a receptive "
            f"field of more than {STROKE} px; add a deeper one, or set it to 1"
        )
    for key, reason in reasons.items():
        is_neutral = key == "motifs" and job.motifs == NEUTRAL_MOTIFS  # undoes that of a job file
        if key in job.model_fields_set and not is_neutral:
            raise UsageError(f"{key} has no effect: {reason}")
    return set(reasons)


def check_texture(
    terms: Sequence[tuple[TermChoice, PlannedTerm]], init: str, initializer: Initializer
) -> None:
    """Check that a texture's terms and start need no content image.

    Raises UsageError for one that does.
    """
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
    """Check that each mask has an effect, and that the terms concerned support regions.

    Raises UsageError.
    """
    confined = {"styles": job.has_style_regions, "content": job.content_mask is not None}
    for source, mask in (("styles", "a style's mask"), ("content", "content_mask")):
        readers = [planned for planned in terms if source in planned.term.reads]
        if not confined[source]:
            continue
        if not readers:
            raise UsageError(f"{mask} has no effect: no loss term reads the {source}")
        for planned in readers:
            # A term that reads both takes its sums over the styles' regions alone.
            reads_both = source == "content" and "styles" in planned.term.reads
            if not planned.term.regional or reads_both:
                raise UsageError(
                    f"the loss term {planned.name} cannot be confined to a region; "
                    "leave out the mask or the term"
                )


def check_transparency(styles: Sequence[StyleInput], terms: Sequence[PlannedTerm]) -> None:
    """Check that the terms leave out what is transparent in the style images.

    Raises ImageError for a term that does not support regions.
    """
    transparent = [style.image.path for style in styles if style.image.alpha is not None]
    unable = [term.name for term in terms if "styles" in term.term.reads and not term.term.regional]
    if transparent and unable:
        raise ImageError(
            f"{transparent[0]}: the image is partly transparent, and the loss term {unable[0]} "
            "cannot leave that part out; crop it off, make the image opaque, or leave the term out"
        )


def check_changes(terms: Sequence[PlannedTerm], optimizer: Optimizer, name: str) -> None:
    """Check that the optimizer allows losses that change within a scale, if there are any.

    Raises UsageError.
    """
    changing = [planned for planned in terms if planned.term.renewed_within_scale]
    if changing and optimizer.compares_steps:
        raise UsageError(
            f"optimizer {name}: it compares values and gradients of different steps, and the loss "
            f"term {changing[0].name} is another function after some steps; use `optimizer=adam`"
        )


def check_colors(job: Job, terms: Sequence[PlannedTerm]) -> None:
    """Check that a transfer of colors has an effect.

    Raises UsageError.
    """
    reads_styles = any("styles" in planned.term.reads for planned in terms)
    if job.color in ("histogram", "covariance") and not reads_styles and job.init.name != "style":
        raise UsageError(f"color {job.color!r} has no effect: no loss term reads the styles")
