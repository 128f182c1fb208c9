"""Former results of a video: what a frame's loss terms compare with, and what it starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FormerResult:
    """The result of a former frame, warped by the optical flow to the present frame.

    - `image`: (1, 3, H, W), RGB, in [0, 1].
    - `reliability`: (1, 1, H, W) in [0, 1]: 0 where the pixel has no counterpart in the former
      frame, or where another `FormerResult` has a better one.
    """

    image: Tensor
    reliability: Tensor


@dataclass(frozen=True)
class FormerResults:
    """All that a frame takes over from others.

    - `start`: the image that the frame starts from, where it is reliable; elsewhere it starts from
      that of its initialiser.
    - `targets`: the results that it is held to; no pixel is reliable in two of them.
    - `seed`: the seed of the initialiser, another for each frame, so that its noise does not stay
      at one place of the screen.
    """

    start: FormerResult
    targets: tuple[FormerResult, ...]
    seed: int
