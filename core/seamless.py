"""Pictures that go on at their opposite edges, so that copies of them can be laid side by side.

The network wraps around (circular padding), and so do the terms that look at neighboring pixels and
the resampling from scale to scale. The sides are multiples of the deepest layer's stride: only then
do the network's windows tile the ring that each row and column is.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

from torch import Tensor
from torch.nn import functional

from .backbone import Backbone
from .errors import UsageError
from .job import Choice
from .specs import BackboneSpec

#: Pixels of the opposite edge, at least, that a resampling sees: more than its filter reaches.
_MARGIN = 8


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
        raise UsageError(f"seamless needs --padding circular; the job has {asked}")
    return Choice.model_validate({**choice.model_dump(), "padding": "circular"})


def check_wraps(backbone: Backbone) -> None:
    """Raises UsageError for a backbone that does not wrap around."""
    if not backbone.wraps:
        raise UsageError(
            f"seamless: the backbone {backbone.name} does not wrap around, since the windows of "
            "its convolutions or poolings do not tile the picture; vgg19 and vgg16 do"
        )


def resized(image: Tensor, size: Sequence[int], wraps: bool) -> Tensor:
    """(N, 3, H, W) at another size (height, width), bicubic with an antialiasing filter; with
    `wraps` as if it went on at the opposite edges. On the CPU: not every device has this filter,
    and it is done once a scale."""
    old = image.shape[2], image.shape[3]
    rows, columns = (_margin(*sides) if wraps else 0 for sides in zip(old, size, strict=True))
    framed = functional.pad(image.cpu(), (columns, columns, rows, rows), mode="circular")
    top, left = rows * size[0] // old[0], columns * size[1] // old[1]
    whole = (size[0] + 2 * top, size[1] + 2 * left)
    made = functional.interpolate(framed, whole, mode="bicubic", antialias=True)
    return made[:, :, top : top + size[0], left : left + size[1]].to(image.device)


def _margin(old: int, new: int) -> int:
    """As many pixels of the old size as make whole ones of the new size."""
    unit = old // gcd(old, new)
    return min(old, unit * -(-_MARGIN // unit))
