"""Strengths by votes, against closed forms and properties of the maximum of the likelihood."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stylectl.core.errors import UsageError
from stylectl.tools.votes.bradley_terry import Ranking, rank
from stylectl.tools.votes.table import Side, Vote


def votes(left: str, right: str, for_left: int, for_right: int, ties: int = 0) -> list[Vote]:
    sides: list[tuple[Side, int]] = [("left", for_left), ("right", for_right), ("none", ties)]
    return [Vote(left, right, side) for side, count in sides for _ in range(count)]


def strengths(ranking: Ranking) -> dict[str, float]:
    return {strength.method: strength.strength for strength in ranking.strengths}


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 10))
@settings(deadline=None)
def test_two_methods_differ_by_the_log_odds(wins: int, losses: int, ties: int) -> None:
    ranking = rank(votes("a", "b", wins, losses, ties))
    for_a, for_b = wins + ties / 2, losses + ties / 2
    found = strengths(ranking)
    assert found["a"] - found["b"] == pytest.approx(math.log(for_a / for_b), abs=1e-9)
    # The variance of the log odds is 1/a + 1/b; each strength is half of them.
    a = next(strength for strength in ranking.strengths if strength.method == "a")
    deviation = math.sqrt(1 / for_a + 1 / for_b) / 2
    assert a.high - a.strength == pytest.approx(1.959964 * deviation, rel=1e-6)
    assert a.strength - a.low == pytest.approx(1.959964 * deviation, rel=1e-6)
    assert not ranking.regularised


counts = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=6, max_size=6)


@given(counts)
@settings(max_examples=40, deadline=None)
def test_at_the_maximum_each_method_wins_as_often_as_expected(
    numbers: list[tuple[int, int]],
) -> None:
    """The likelihood equations of the model (Bradley and Terry 1952)."""
    ballots = []
    for (left, right), (wins, losses) in zip(combinations("abcd", 2), numbers, strict=True):
        ballots += votes(left, right, wins, losses)
    ranking = rank(ballots)
    found = strengths(ranking)
    assert sum(found.values()) == pytest.approx(0, abs=1e-9)
    for strength in ranking.strengths:
        expected = sum(
            1 / (1 + math.exp(found[other] - strength.strength))
            for vote in ballots
            for other in ({vote.left, vote.right} - {strength.method})
            if strength.method in (vote.left, vote.right)
        )
        assert strength.wins == pytest.approx(expected, abs=1e-6)
    order = [strength.strength for strength in ranking.strengths]
    assert order == sorted(order, reverse=True)


@given(counts)
@settings(max_examples=20, deadline=None)
def test_sides_and_order_of_votes_do_not_count(numbers: list[tuple[int, int]]) -> None:
    ballots, turned = [], []
    for (left, right), (wins, losses) in zip(combinations("abcd", 2), numbers, strict=True):
        ballots += votes(left, right, wins, losses)
        turned += votes(right, left, losses, wins)
    assert strengths(rank(ballots)) == pytest.approx(strengths(rank(turned[::-1])))


def test_more_votes_make_the_interval_narrower() -> None:
    few, many = (rank(votes("a", "b", 3 * n, 2 * n)).strengths[0] for n in (1, 100))
    assert many.strength == pytest.approx(few.strength)
    assert (many.high - many.low) * 10 == pytest.approx(few.high - few.low)


def test_a_method_that_wins_every_vote_has_a_finite_strength_and_this_is_said() -> None:
    ranking = rank(votes("a", "b", 5, 0))
    assert ranking.regularised
    found = strengths(ranking)
    assert found["a"] - found["b"] == pytest.approx(math.log(5.5 / 0.5))
    assert ranking.strengths[0].wins == 5  # the added tie is not reported as a vote
    assert ranking.strengths[0].votes == 5


def test_a_circle_of_wins_needs_no_added_tie() -> None:
    ring = [Vote("a", "b", "left"), Vote("b", "c", "left"), Vote("c", "a", "left")]
    ranking = rank(ring)
    assert not ranking.regularised
    assert list(strengths(ranking).values()) == pytest.approx([0, 0, 0], abs=1e-9)


def test_methods_that_never_met_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="fall into groups"):
        rank([*votes("a", "b", 1, 1), *votes("c", "d", 1, 1)])


def test_methods_compare_through_others() -> None:
    ranking = rank([*votes("a", "b", 3, 1), *votes("b", "c", 3, 1)])
    found = strengths(ranking)
    assert found["a"] - found["c"] == pytest.approx(2 * math.log(3))
