"""Strength: one number for the balance of style and content, over the weights of the loss terms."""

from __future__ import annotations

from collections.abc import Iterable

from ..interfaces.terms import LossTerm
from ..job.model import NEUTRAL_STRENGTH

#: What strength 1 multiplies the ratio of style to content with, and strength 0 divides it by.
RANGE = 1e3


def factor(term: LossTerm, strength: float) -> float:
    """The factor of a term's weight at a strength in [0, 1].

    The ratio of style to content changes by RANGE^(2 strength - 1): equal steps of strength
    multiply it equally. Each side takes the root of it, so that terms of neither side, such as the
    total variation, keep their balance with both.
    """
    return float(RANGE ** (_side(term) * (strength - NEUTRAL_STRENGTH)))


def balances(terms: Iterable[LossTerm]) -> bool:
    """Whether there are terms on both sides, which strength could weigh against each other."""
    return {_side(term) for term in terms} >= {1, -1}


def _side(term: LossTerm) -> int:
    """1 if the term brings the styles (it may look at the content to place them), -1 if it keeps
    the content, 0 if it does neither."""
    if "styles" in term.reads:
        return 1
    return -1 if "content" in term.reads else 0
