"""The report of a comparison of two backends: figures, each with its tolerance."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Quantity(StrEnum):
    """What is measured; all of them are 0 where the backends agree."""

    FEATURES_L2 = "features, relative L2"
    FEATURES_PEAK = "features, max abs"
    FEATURES_REL = "features, max rel"
    GRADIENT_L2 = "gradient, relative L2"
    GRADIENT_COSINE = "gradient, 1 - cosine"
    GRADIENT_SUM = "gradient sum, relative L2"
    PICTURE = "picture, max abs"


@dataclass(frozen=True)
class Figure:
    """One difference: of what (a layer, or the objective), on which picture, and the most that is
    tolerated. A `value` that is not finite is beyond every tolerance."""

    quantity: Quantity
    subject: str
    picture: str
    value: float
    limit: float

    @property
    def ok(self) -> bool:
        """Whether the tolerance is kept."""
        return self.value <= self.limit

    @property
    def severity(self) -> float:
        """The value as a multiple of the limit."""
        if self.value == 0:
            return 0.0
        if not math.isfinite(self.value) or self.limit == 0:
            return math.inf
        return self.value / self.limit


@dataclass(frozen=True)
class Report:
    """All figures of a comparison, at least one."""

    figures: tuple[Figure, ...]

    @property
    def ok(self) -> bool:
        """Whether every tolerance is kept."""
        return all(figure.ok for figure in self.figures)

    def worst(self) -> tuple[Figure, ...]:
        """For each quantity and subject, the picture on which it comes out worst; in the order in
        which they were measured."""
        found: dict[tuple[Quantity, str], Figure] = {}
        for figure in self.figures:
            key = (figure.quantity, figure.subject)
            if key not in found or figure.severity > found[key].severity:
                found[key] = figure
        return tuple(found.values())


def worst_of(values: Iterable[float]) -> float:
    """The largest; NaN if there is one, which `max` may miss."""
    found = list(values)
    return math.nan if any(math.isnan(value) for value in found) else max(found)
