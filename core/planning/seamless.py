"""Seamless results: the network must wrap around at the image's edges.

The network has circular padding, and the terms that look at neighboring pixels and the resampling
from scale to scale wrap as well. The sides are multiples of the deepest layer's stride: only then
do the network's windows tile the ring that each row and column is.
"""

from __future__ import annotations

from ..errors import UsageError
from ..interfaces.backbone import Backbone
from ..interfaces.specs import BackboneSpec
from ..job.choices import Choice


def wrapping_choice(choice: Choice, spec: BackboneSpec) -> Choice:
    """The backbone with circular padding. Raises UsageError where that cannot be, or where another
    padding was asked for."""
    if "padding" not in spec.options.model_fields:
        raise UsageError(
            f"seamless: the backbone {choice.name} has no option `padding`, by which it would wrap "
            "around at the edges; vgg19 has one"
        )
    asked = choice.options.get("padding", "circular")
    if asked != "circular":
        raise UsageError(f"seamless needs `padding=circular`; the job has {asked}")
    return Choice.model_validate({**choice.model_dump(), "padding": "circular"})


def check_wraps(backbone: Backbone) -> None:
    """Raises UsageError for a backbone that does not wrap around."""
    if not backbone.wraps:
        raise UsageError(
            f"seamless: the backbone {backbone.name} does not wrap around, since the windows of "
            "its convolutions or poolings do not tile the image; vgg19 and vgg16 do"
        )
