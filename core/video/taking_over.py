"""Taking over of former results by a frame.

Ruder, Dosovitskiy and Brox 2016, "Artistic Style Transfer for Videos".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..interfaces.video.former import FormerResult, FormerResults
from .reliability import comes_from_edge
from .warping import warped

if TYPE_CHECKING:
    from torch import Tensor

#: Part of the neighbor's result in the start of a frame that was painted in a pass before (the
#: delta of section 4.4).
_NEIGHBORS_PART = 0.5


#: Width in pixels of the rim of a result, which is not taken over into the frame.
_EDGE = 4.0


@dataclass(frozen=True)
class Neighbor:
    """A frame that was painted before, nearest ones first.

    - `result`: (1, 3, H, W), RGB, in [0, 1].
    - `flow`: (1, 2, H, W), of the present frame to this one, in pixels.
    - `reliability`: (1, 1, H, W) in [0, 1], of the flow.
    """

    result: Tensor
    flow: Tensor
    reliability: Tensor


def taken_over(
    neighbors: Sequence[Neighbor], seed: int, frame: int, before: Tensor | None = None
) -> FormerResults:
    """Return what a frame takes over from its `neighbors`, at least one, the nearest ones first.

    Each pixel is held to the nearest neighbor that has a reliable counterpart of it,

        c_j = max(r_j - sum of c_i of nearer neighbors, 0)

    (equation 9), so that what was hidden for a while comes back as it was; the frame starts from
    these pixels too. `before` is the frame's result (1, 3, H, W) of the pass before: the start is
    then a mixture of both. `seed` is the job's, and `frame` the number of the frame.
    """
    import torch

    targets: list[FormerResult] = []
    covered = torch.zeros_like(neighbors[0].reliability)
    start = torch.zeros_like(neighbors[0].result)
    for neighbor in neighbors:
        usable = neighbor.reliability * ~comes_from_edge(neighbor.flow, _EDGE)
        weight = (usable - covered).clamp_min(0)
        image = warped(neighbor.result, neighbor.flow).clamp(0, 1)
        targets.append(FormerResult(image, weight))
        covered = covered + weight
        start = start + weight * image
    start = torch.where(covered > 0, start / covered.clamp_min(1e-6), start)
    reliability = covered
    if before is not None:
        part = _NEIGHBORS_PART * covered
        start = part * start + (1 - part) * before
        reliability = torch.ones_like(covered)
    return FormerResults(FormerResult(start, reliability), tuple(targets), _frame_seed(seed, frame))


def _frame_seed(seed: int, frame: int) -> int:
    """Return a seed of 63 bits for a frame."""
    digest = hashlib.sha256(f"frame {seed} {frame}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
