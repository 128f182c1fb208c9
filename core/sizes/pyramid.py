"""The coarse-to-fine pyramid of scales: their sizes, and the number of steps at each.

Large structures form where the network's receptive field spans them, at small sizes, and cheaply;
the later scales only refine (Gatys et al. 2017, "Controlling Perceptual Factors", section 6). The
receptive field's size in pixels does not depend on the result's size. So results of all sizes look
alike when their first scales have the same size; larger results have more scales after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log, log2
from typing import Literal

from .fitting import fit, whole_strides

#: Ratio of neighboring scales' long sides: half the pixels each time.
_RATIO = 2**0.5

#: Least part of all steps that a scale gets: fewer do not carry the style to the new detail.
_LEAST_PART = 1 / 15

#: Long side in pixels of the first scale, if the number of scales is automatic.
FIRST_LONG_SIDE = 128

#: Least long side in pixels of the first of the octaves.
_FIRST_OCTAVE = 64

#: The number of scales: at most as many, as many as the size needs, or octaves.
Scales = int | Literal["auto", "octaves"]


@dataclass(frozen=True)
class Scale:
    """One size of the pyramid, in pixels, and the optimizer steps that are made at it."""

    height: int
    width: int
    steps: int
    #: Whether it is a further pass at the size of the scale before.
    final_pass: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Size as (height, width)."""
        return self.height, self.width

    @property
    def pixels(self) -> int:
        """Height times width; the cost of a step is proportional to it."""
        return self.height * self.width


def plan_scales(
    size: tuple[int, int],
    scales: Scales,
    steps: int,
    smallest_side: int,
    stride: int = 1,
    final_pass: bool = False,
) -> list[Scale]:
    """Return the scales from coarse to fine; the last one has `size` (height, width).

    The sides of the smaller scales are multiples of `stride`. Each scale has half the pixels of the
    next; with "auto" about half, so that the first one's long side is `FIRST_LONG_SIDE`. There are
    fewer than `scales` if the coarsest would have a side under `smallest_side` pixels, or if there
    are fewer steps than scales. The scales' steps add up to `steps`. They are inversely
    proportional to the long side, so that each scale has its part of the work, but no scale gets
    less than a fixed part of all steps.

    With "octaves" each scale has half the sides of the next, the first one a long side of 64 to
    127, and all have the same number of steps. With `final_pass` a further pass at the last size
    follows, with as many steps as the scale before.
    """
    count, ratio = _count_and_ratio(max(size), scales)
    sizes = [size]
    while len(sizes) < min(count, max(steps, 1)):
        smaller = whole_strides(fit(size, round(max(size) / ratio ** len(sizes))), stride)
        if min(smaller) < smallest_side or smaller == sizes[0]:
            break
        sizes.insert(0, smaller)
    if final_pass and len(sizes) < steps:
        sizes.append(size)
    inverse = [1.0 if scales == "octaves" else 1 / max(sides) for sides in sizes]
    counts = _divided(steps, [max(part, _LEAST_PART * sum(inverse)) for part in inverse])
    result = [Scale(*sides, count) for sides, count in zip(sizes, counts, strict=True)]
    if len(sizes) > 1 and sizes[-1] == sizes[-2]:
        result[-1] = replace(result[-1], final_pass=True)
    return result


def _count_and_ratio(long_side: int, scales: Scales) -> tuple[int, float]:
    """Return the largest number of scales, and the ratio of their long sides."""
    if scales == "auto":
        return _automatic(long_side)
    if scales == "octaves":
        return max(int(log2(long_side / _FIRST_OCTAVE)) + 1, 1), 2.0
    return scales, _RATIO


def _automatic(long_side: int) -> tuple[int, float]:
    """Return the number of scales from `FIRST_LONG_SIDE` up, and the ratio of their long sides."""
    total_ratio = long_side / FIRST_LONG_SIDE
    gaps = round(log(total_ratio, _RATIO))
    return (gaps + 1, total_ratio ** (1 / gaps)) if gaps > 0 else (1, _RATIO)


def _divided(total: int, weights: Sequence[float]) -> list[int]:
    """Return integers that add up to `total`, as proportional to the weights as possible.

    None of them is 0, if `total` is at least their number.
    """
    bounds = [round(total * sum(weights[:end]) / sum(weights)) for end in range(len(weights) + 1)]
    parts = [end - start for start, end in pairwise(bounds)]
    while 0 in parts and max(parts) > 1:
        parts[parts.index(max(parts))] -= 1
        parts[parts.index(0)] += 1
    return parts
