"""Seamless results, for which the network must wrap around at the image's edges.

The network has circular padding; the terms of neighboring pixels and the resampling from scale to
scale wrap around as well. The sides are multiples of the deepest layer's stride: only then do the
network's windows tile each row and column, which are rings.
"""

from __future__ import annotations

from typing import Any

from ..errors import UsageError
from ..interfaces.backbone import Backbone
from ..interfaces.specs import BackboneSpec
from ..job.choices import Choice


def wrapping_choice(choice: Choice, spec: BackboneSpec[Any]) -> Choice:
    """Return the choice of the backbone with circular padding.

    Raises UsageError for a backbone without the option `padding`, and if the job chooses another
    padding.
    """
    if "padding" not in spec.options.model_fields:
        raise UsageError(
            f"seamless: the backbone {choice.name} has no option `padding`, which it needs to wrap "
            "around at the edges; vgg19 has one"
        )
    padding = choice.options.get("padding", "circular")
    if padding != "circular":
        raise UsageError(f"seamless needs `padding=circular`; the job has {padding}")
    return Choice.model_validate({**choice.model_dump(), "padding": "circular"})


def check_wraps(backbone: Backbone) -> None:
    """Check that the backbone wraps around.

    Raises UsageError for one that does not.
    """
    if not backbone.wraps:
        raise UsageError(
            f"seamless: the backbone {backbone.name} does not wrap around, since the windows of "
            "its convolutions or poolings do not tile the image; vgg19 and vgg16 do"
        )
