"""Strength: one number for the balance of style and content, which scales the terms' weights."""

from __future__ import annotations

from collections.abc import Iterable

from ...interfaces.terms import LossTerm
from ...job.model import NEUTRAL_STRENGTH

#: Strength 1 multiplies the ratio of style to content by this factor, strength 0 divides it by it.
RANGE = 1e3


def factor(term: LossTerm, strength: float) -> float:
    """Return the factor of a term's weight at a `strength` in [0, 1].

    The ratio of style to content changes by RANGE^(2 strength - 1): equal steps of strength
    multiply it equally. Each side gets the square root of it, so that terms of neither side, such
    as the total variation, keep their balance with both.
    """
    return float(RANGE ** (_side(term) * (strength - NEUTRAL_STRENGTH)))


def balances(terms: Iterable[LossTerm]) -> bool:
    """Return whether there are terms on both sides, which the strength can balance."""
    return {_side(term) for term in terms} >= {1, -1}


def _side(term: LossTerm) -> int:
    """Return 1 for a term of the style, -1 for a term of the content, 0 for a term of neither.

    A term of the style may read the content image as well, to place the style.
    """
    if not term.balanced:
        return 0
    if "styles" in term.reads:
        return 1
    return -1 if "content" in term.reads else 0
