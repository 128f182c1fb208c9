"""The value and the gradient of an objective at one image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Evaluation:
    """The objective at one image: its value, the terms' weighted shares of it (they add up to the
    value), and its gradient (N, 3, H, W) with respect to the image, or what is put in its place
    (`normalized_cotangents`). `nonfinite_source` names what gave numbers that are not finite, if
    there are any."""

    value: float
    losses: dict[str, float]
    gradient: Tensor
    nonfinite_source: str = ""

    @property
    def finite(self) -> bool:
        """Whether the value and every element of the gradient are finite numbers."""
        return math.isfinite(self.value) and bool(self.gradient.isfinite().all())
