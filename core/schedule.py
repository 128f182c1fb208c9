"""The coarse-to-fine schedule: which sizes, and how many steps at each.

Large structures form where the network's receptive field spans them, at small sizes, and cheaply;
the later scales only refine (Gatys et al. 2017, "Controlling Perceptual Factors", section 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .images import fit

#: Ratio of neighbouring scales' long sides: half the pixels each time.
_RATIO = 2**0.5


@dataclass(frozen=True)
class Scale:
    """One size of the schedule, in pixels, and the optimizer steps that are made at it."""

    height: int
    width: int
    steps: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def pixels(self) -> int:
        """Height times width; the cost of a step is proportional to it."""
        return self.height * self.width


def plan_scales(
    size: tuple[int, int], scales: int, steps: int, smallest_side: int, stride: int = 1
) -> list[Scale]:
    """From coarse to fine, ending at `size` (height, width); sides are multiples of `stride`.

    Gives fewer than `scales` when the coarsest would have a side under `smallest_side` pixels or
    when there are fewer steps than scales. Steps are shared in inverse proportion to the long side,
    so that each scale has its part of the work, and add up to `steps`.
    """
    long_side = max(size)
    sizes = [size]
    while len(sizes) < min(scales, max(steps, 1)):
        smaller = whole_strides(fit(size, round(long_side / _RATIO ** len(sizes))), stride)
        if min(smaller) < smallest_side or smaller == sizes[0]:
            break
        sizes.insert(0, smaller)
    shares = _shares(steps, [1 / max(each) for each in sizes])
    return [Scale(*each, share) for each, share in zip(sizes, shares, strict=True)]


def whole_strides(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """(height, width), each rounded to a multiple of `stride`, and not to nothing."""
    height, width = (max(1, round(side / stride)) * stride for side in size)
    return height, width


def _shares(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers that add up to `total`, as near to the weights' proportions as can be."""
    bounds = [round(total * sum(weights[:end]) / sum(weights)) for end in range(len(weights) + 1)]
    return [end - start for start, end in pairwise(bounds)]
