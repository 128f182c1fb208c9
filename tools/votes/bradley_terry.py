"""Strengths of methods by their votes (Bradley and Terry 1952), with confidence intervals.

The chance that method i is preferred to j is 1 / (1 + exp(s_j - s_i)). The strengths s maximise the
likelihood and add up to 0; a vote for neither counts as half a vote for each. The intervals are
Wald's, from Fisher's information: each vote counts as independent of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...core.errors import UsageError
from .table import Vote

#: Quantile of the normal distribution for a confidence of 95 %.
_QUANTILE = 1.959964
_MOST_STEPS, _PRECISION = 200, 1e-10


@dataclass(frozen=True)
class Strength:
    """A method's place in a contest.

    - `votes`: the votes on it, `wins` those for it, with halves for ties.
    - `strength`: in logits above the mean of all methods, with the interval of 95 % from `low` to
      `high`.
    """

    method: str
    votes: int
    wins: float
    strength: float
    low: float
    high: float


@dataclass(frozen=True)
class Ranking:
    """Methods by strength, the best first.

    `regularised`: whether a tie was added between the methods of each pair that met, since without
    it a strength would be infinite: some methods won, or lost, all votes against all others.
    """

    strengths: tuple[Strength, ...]
    regularised: bool


def rank(votes: Sequence[Vote]) -> Ranking:
    """Return the methods by strength.

    Raises UsageError if the methods fall into groups between which there is no vote.
    """
    methods = sorted({method for vote in votes for method in (vote.left, vote.right)})
    wins = _wins(votes, methods)
    met = wins + wins.T > 0
    if not _reach_each_other(met):
        raise UsageError(
            f"the methods {', '.join(methods)} fall into groups that no vote compares; "
            "collect votes on pairs of both"
        )
    regularised = not _reach_each_other(wins > 0)
    fitted = wins + 0.5 * met if regularised else wins
    strengths, deviations = _fit(fitted)
    order = np.argsort(-strengths, kind="stable")
    return Ranking(
        tuple(
            Strength(
                methods[i],
                round(float(wins[i].sum() + wins[:, i].sum())),
                float(wins[i].sum()),
                float(strengths[i]),
                float(strengths[i] - _QUANTILE * deviations[i]),
                float(strengths[i] + _QUANTILE * deviations[i]),
            )
            for i in order
        ),
        regularised,
    )


def _wins(votes: Sequence[Vote], methods: Sequence[str]) -> np.ndarray:
    """Return how often method i was preferred to j, with halves for ties."""
    index = {method: number for number, method in enumerate(methods)}
    wins = np.zeros((len(methods), len(methods)))
    for vote in votes:
        left, right = index[vote.left], index[vote.right]
        for_left = {"left": 1.0, "right": 0.0, "none": 0.5}[vote.preferred]
        wins[left, right] += for_left
        wins[right, left] += 1 - for_left
    return wins


def _reach_each_other(graph: np.ndarray) -> bool:
    """Return whether each node of a directed graph reaches each other one.

    The likelihood of the wins has a maximum exactly then (Ford 1957).
    """
    reached = graph | np.eye(len(graph), dtype=bool)
    for _ in range(len(graph).bit_length()):
        reached = (reached.astype(int) @ reached.astype(int)) > 0
    return bool(reached.all())


def _fit(wins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the strengths of largest likelihood and their standard deviations, by Newton steps."""
    met = wins + wins.T
    strengths = np.zeros(len(wins))
    for _ in range(_MOST_STEPS):
        gradient, information = _derivatives(strengths, wins, met)
        step = np.linalg.pinv(information, hermitian=True) @ gradient
        # Far from the maximum, a whole step may lead too far.
        strengths = strengths + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < _PRECISION:
            break
    _, information = _derivatives(strengths, wins, met)
    variances = np.linalg.pinv(information, hermitian=True).diagonal()
    return strengths - strengths.mean(), np.sqrt(variances.clip(min=0))


def _derivatives(
    strengths: np.ndarray, wins: np.ndarray, met: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient of the log likelihood, and its negative second derivatives."""
    chances = 1 / (1 + np.exp(strengths[None] - strengths[:, None]))
    gradient = (wins - met * chances).sum(1)
    weights = met * chances * chances.T
    return gradient, np.diag(weights.sum(1)) - weights
