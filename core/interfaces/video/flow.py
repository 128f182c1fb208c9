"""Interface of estimators of optical flow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class FlowFrame:
    """A frame of a clip.

    - `number`: of the frame in the clip, from 0; it is for estimators that read files.
    - `image`: (H, W, 3), RGB, 8 bits, at the size of the result.
    """

    number: int
    image: np.ndarray


class FlowEstimator(ABC):
    """Estimator of the optical flow between two frames of a clip.

    It is called from one thread at a time, while the network may be running on another one.
    """

    def fingerprint(self) -> str:
        """Return a hash of all that it reads beside frames and options; of files of flows, them.

        A video of other flows is another one, which takes nothing over from the former.
        """
        return ""

    @abstractmethod
    def flow(self, first: FlowFrame, second: FlowFrame) -> np.ndarray | None:
        """Return the displacement, from `first` to `second`, of each pixel of `first`.

        It is (H, W, 2), float32, in pixels: to the right, and down. What is at (x, y) in `first` is
        at (x, y) + displacement in `second`. None: there is no flow for these frames, which are not
        neighbors; neighbors must have one.
        """
