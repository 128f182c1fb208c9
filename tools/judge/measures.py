"""The measures: what is computed of a picture, beside what, and which way is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .border import border_step
from .copied_area import copied_area
from .edges import edge_agreement
from .effectiveness import effectiveness
from .grain import grain
from .gram import gram_distance
from .pictures import Picture
from .self_similarity import self_similarity_distance

#: Which of two values is the better one.
Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Measure:
    """A measure of a picture beside another one.

    - `of`: picture and reference -> the value, or None where it has none.
    - `beside`: the reference of a result. The bounds of "style" and "content" have the same
      reference; those of "ground" are their own.
    """

    name: str
    better: Better
    beside: Literal["style", "content", "ground"]
    of: Callable[[Picture, Picture], float | None]


MEASURES = (
    Measure("gram", "lower", "style", gram_distance),
    Measure("effectiveness", "higher", "style", effectiveness),
    Measure("cfsd", "lower", "content", self_similarity_distance),
    Measure("edges", "higher", "content", edge_agreement),
    Measure("copied", "lower", "style", copied_area),
    Measure("grain", "lower", "ground", grain),
    Measure("border", "lower", "ground", border_step),
)
