"""Warping error: the flicker between two frames.

Lai, Huang, Wang, Shechtman, Yumer and Yang 2018, "Learning Blind Video Temporal Consistency",
section 4.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def warping_error(frame: Tensor, former: Tensor, flow: Tensor, reliability: Tensor) -> float | None:
    """Return the mean squared difference of a frame from a former one, warped to it.

    Images are (1, 3, H, W), RGB, in [0, 1]; `flow` (1, 2, H, W) is the displacement of each pixel
    of the frame to the former one, and `reliability` (1, 1, H, W) where it counts, 1 or 0. The mean
    is over these pixels and the colors; None if there are no such pixels.
    """
    from .warping import warped

    count = reliability.sum().item() * frame.shape[1]
    if not count:
        return None
    squares = (frame - warped(former, flow, "bilinear")).square()
    return float((squares * reliability).sum().item() / count)
