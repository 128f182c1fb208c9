"""Report of a comparison of two backends: figures, each with its tolerance."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Quantity(StrEnum):
    """Kind of difference between two backends; 0 where they agree."""

    FEATURES_L2 = "features, relative L2"
    FEATURES_PEAK = "features, max abs"
    FEATURES_REL = "features, max rel"
    GRADIENT_L2 = "gradient, relative L2"
    GRADIENT_COSINE = "gradient, 1 - cosine"
    GRADIENT_SUM = "gradient sum, relative L2"
    GRADIENT_SLOPES = "gradient, from differences"
    PICTURE = "picture, max abs"


@dataclass(frozen=True)
class Figure:
    """Difference between two backends, with its tolerance.

    `subject` is a layer, the objective, or the steps of the optimizer; `picture` names the image;
    `limit` is the largest tolerated value. A `value` that is not finite is beyond every tolerance.
    """

    quantity: Quantity
    subject: str
    picture: str
    value: float
    limit: float

    @property
    def ok(self) -> bool:
        """True if the value is within the tolerance."""
        return self.value <= self.limit

    @property
    def severity(self) -> float:
        """Value as a multiple of the limit."""
        if self.value == 0:
            return 0.0
        if not math.isfinite(self.value) or self.limit == 0:
            return math.inf
        return self.value / self.limit


@dataclass(frozen=True)
class Report:
    """Figures of a comparison, at least one."""

    figures: tuple[Figure, ...]

    @property
    def ok(self) -> bool:
        """True if every figure is within its tolerance."""
        return all(figure.ok for figure in self.figures)

    def worst(self) -> tuple[Figure, ...]:
        """Return the worst figure of each quantity and subject over all images, in their order."""
        worst: dict[tuple[Quantity, str], Figure] = {}
        for figure in self.figures:
            key = (figure.quantity, figure.subject)
            if key not in worst or figure.severity > worst[key].severity:
                worst[key] = figure
        return tuple(worst.values())


def worst_of(values: Iterable[float]) -> float:
    """Return the largest value; NaN if there is one, which `max` may miss."""
    candidates = list(values)
    return math.nan if any(math.isnan(value) for value in candidates) else max(candidates)
