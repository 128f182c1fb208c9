"""Pictures that go on at their opposite edges, so that copies of them can be laid side by side.

The network wraps around (circular padding), and so do the terms that look at neighboring pixels and
the resampling from scale to scale. The sides are multiples of the deepest layer's stride: only then
do the network's windows tile the ring that each row and column is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import gcd

from torch import Tensor
from torch.nn import functional

from .backbone import Backbone
from .backend import FeatureBackend, Features
from .errors import UsageError
from .job import Choice
from .specs import BackboneSpec
from .tiled_features import PartSeen, See

#: Pixels of the opposite edge, at least, that a resampling sees: more than its filter reaches.
_MARGIN = 8
#: Width of the mirror image around one that does not wrap, in strides of the deepest layer: it sees
#: further, but little.
_FRAME = 4


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


@dataclass(frozen=True)
class Framed(See):
    """How images that do not wrap are seen by a network that does; see `seamless_features`."""

    backend: FeatureBackend
    stride: int

    def whole(self, image: Tensor, layers: Collection[str]) -> Features:
        """See See."""
        return seamless_features(self.backend, image, layers, self.stride)

    def parts(self, image: Tensor, layers: Collection[str]) -> Iterator[PartSeen]:
        """See See. There is one."""
        yield PartSeen.whole(self.whole(image, layers))


def seamless_features(
    backend: FeatureBackend, image: Tensor, layers: Collection[str], stride: int
) -> Features:
    """The layers of an image (N, 3, H, W) that does not go on at its opposite edges, by a network
    that wraps around. It would see the cut there, and what it takes from the image would have such
    cuts in it; so the image is framed by its mirror image, and the frame's positions are left out.

    `stride` is the deepest layer's; both sides of the image are as long, at least.
    """
    (top, bottom), (left, right) = (_frame(side, stride) for side in image.shape[2:])
    framed = functional.pad(image, (left, right, top, bottom), mode="reflect")
    found = {}
    for name, features in backend.features(framed, layers).items():
        step = framed.shape[2] // features.shape[2]
        rows, columns = (side // step for side in image.shape[2:])
        found[name] = features[:, :, top // step :, left // step :][:, :, :rows, :columns]
    return found


def _frame(side: int, stride: int) -> tuple[int, int]:
    """Widths, in pixels, before and after a side: whole strides before, and in all."""
    before = min(_FRAME, (side - 1) // stride) * stride
    most = side + before + min(before + stride - 1, side - 1)
    return before, most // stride * stride - side - before


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
