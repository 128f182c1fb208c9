"""Step lengths along a descent direction."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..interfaces.optimizer import Evaluate, Evaluation

#: Constants of sufficient decrease and curvature (Nocedal and Wright, for quasi-Newton methods).
_DECREASE, _CURVATURE = 1e-4, 0.9
_MOST_TRIALS = 10


def armijo(
    image: Tensor,
    start: Evaluation,
    direction: Tensor,
    slope: float,
    length: float,
    evaluate: Evaluate,
) -> tuple[float, Evaluation]:
    """Shorten the step until the value falls enough (Nocedal and Wright, algorithm 3.1).

    The first trial nearly always passes, so that a step costs one evaluation. Returns the length
    and the evaluation there; a value that is not finite is returned as it is.
    """
    for _ in range(_MOST_TRIALS - 1):
        new = evaluate(image + length * direction)
        if not math.isfinite(new.value) or new.value <= start.value + _DECREASE * length * slope:
            return length, new
        # The minimum of the parabola through both values and the slope, kept within bounds.
        parabola = -slope * length**2 / (2 * (new.value - start.value - slope * length))
        length = min(max(parabola, 0.1 * length), 0.5 * length)
    return length, evaluate(image + length * direction)


def strong_wolfe(
    image: Tensor,
    start: Evaluation,
    direction: Tensor,
    slope: float,
    length: float,
    evaluate: Evaluate,
) -> tuple[float, Evaluation]:
    """Find a step length that meets the strong Wolfe conditions.

    Nocedal and Wright, algorithms 3.5 and 3.6. Returns the length and the evaluation there: the
    best ones if no length meets the conditions in a few trials; a value that is not finite is
    returned as it is.
    """
    low, low_point, low_slope = 0.0, start, slope
    high: float | None = None
    high_value = math.inf
    for _ in range(_MOST_TRIALS):
        new = evaluate(image + length * direction)
        if not math.isfinite(new.value):
            return length, new
        new_slope = torch.dot(new.gradient.flatten(), direction.flatten()).item()
        if new.value > start.value + _DECREASE * length * slope or new.value >= low_point.value:
            high, high_value = length, new.value
        elif abs(new_slope) <= -_CURVATURE * slope:
            return length, new
        else:
            if new_slope * ((math.inf if high is None else high) - low) >= 0:
                high, high_value = low, low_point.value
            low, low_point, low_slope = length, new, new_slope
        if high is None:
            length *= 2
        else:
            length = _inside(low, low_point.value, low_slope, high, high_value)
    if low == 0.0:  # no trial was better than the start: take the last, shortest one
        return length, evaluate(image + length * direction)
    return low, low_point


def _inside(
    low: float, low_value: float, low_slope: float, high: float, high_value: float
) -> float:
    """Return the minimum of the parabola between two lengths, kept away from both ends."""
    width = high - low
    bend = high_value - low_value - low_slope * width
    minimum = low - low_slope * width**2 / (2 * bend) if bend > 0 else low + width / 2
    margin = 0.1 * abs(width)
    return min(max(minimum, min(low, high) + margin), max(low, high) - margin)
