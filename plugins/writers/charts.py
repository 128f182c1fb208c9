"""Loss curves: where everything lies in the drawing that a report shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from ...core.interfaces.result import StepRecord

#: The drawing's size, and the plot's edges in it, in its own units.
WIDTH, HEIGHT = 760, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 752, 24, 292

#: Points of a curve at one scale, beyond which nobody sees a difference.
_MOST_POINTS = 400
_MOST_TICKS = 7

#: Width of a label's letter.
_LETTER = 6.5


@dataclass(frozen=True)
class Curve:
    """One term: its losses as the data of an SVG path, interrupted between the scales."""

    name: str
    path: str


@dataclass(frozen=True)
class Tick:
    """A place on an axis, and what is written there."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Losses (logarithmic, upwards) over evaluated pictures (to the right).

    `sum` is the path of the terms' sum, if there are several; `scales` has the middle of each
    scale's part that has room for its label, `borders` the places between the parts.
    """

    curves: tuple[Curve, ...]
    sum: str
    values: tuple[Tick, ...]
    scales: tuple[Tick, ...]
    borders: tuple[float, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = _RIGHT
    top: int = _TOP
    bottom: int = _BOTTOM


def loss_chart(steps: Sequence[StepRecord], labels: Mapping[int, str]) -> Chart:
    """The curves of all terms, and their sum if there are several; `labels` name the scales.

    What is not positive and finite has no place on a logarithmic axis and is left out.
    """
    terms = list(dict.fromkeys(name for record in steps for name in record.losses))
    series = {
        name: np.array([record.losses.get(name, math.nan) for record in steps]) for name in terms
    }
    series = {name: _drawable(values) for name, values in series.items()}
    sums = _drawable(np.array([record.loss if len(terms) > 1 else 0.0 for record in steps]))
    parts = _parts(steps)
    ticks = _ticks(np.concatenate([sums, *series.values()]))
    low, high = math.log10(ticks[0]), math.log10(ticks[-1])

    def across(place: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * (place + 0.5) / len(steps), 1)

    def up(value: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * (math.log10(value) - low) / (high - low), 1)

    def path(values: np.ndarray) -> str:
        runs = []
        for part in parts.values():
            places = [place for place in _thinned(part) if not math.isnan(values[place])]
            if places:
                points = [f"{across(place)} {up(values[place])}" for place in places]
                runs.append(f"M{' L'.join(points)}" if len(points) > 1 else f"M{points[0]} h0")
        return " ".join(runs)

    return Chart(
        curves=tuple(Curve(name, path(values)) for name, values in series.items()),
        sum=path(sums),
        values=tuple(Tick(up(value), f"{value:g}") for value in ticks),
        scales=tuple(
            Tick(across((part[0] + part[-1]) / 2), label)
            for scale, part in parts.items()
            if (label := labels.get(scale, f"scale {scale + 1}"))
            and _LETTER * len(label) < across(part[-1] + 0.5) - across(part[0] - 0.5)
        ),
        borders=tuple(across(part[0] - 0.5) for part in list(parts.values())[1:]),
    )


def _drawable(values: np.ndarray) -> np.ndarray:
    """With NaN for what has no place on a logarithmic axis."""
    return np.where(np.isfinite(values) & (values > 0), values, math.nan)


def _parts(steps: Sequence[StepRecord]) -> dict[int, range]:
    """Scale -> the places of its records."""
    parts = {}
    for scale, group in groupby(enumerate(steps), lambda each: each[1].scale):
        places = [place for place, _ in group]
        parts[scale] = range(places[0], places[-1] + 1)
    return parts


def _thinned(part: range) -> list[int]:
    """The first and the last place, and enough between them."""
    many = min(len(part), _MOST_POINTS)
    return [part[int(index)] for index in np.linspace(0, len(part) - 1, many).round()]


def _ticks(values: np.ndarray) -> list[float]:
    """Round numbers, at least two, from under the least value to over the greatest."""
    known = values[~np.isnan(values)]
    if not known.size:
        return [0.1, 1.0]
    low, high = math.floor(math.log10(known.min())), math.ceil(math.log10(known.max()))
    high = max(high, low + 1)
    if high - low > 2:
        every = -(-(high - low) // (_MOST_TICKS - 1))
        exponents = range(low, high + every, every)
        return [10.0**exponent for exponent in exponents if exponent < 308]
    fine = [m * 10.0**exponent for exponent in range(low, high + 1) for m in (1, 2, 5)]
    first = max(place for place, tick in enumerate(fine) if tick <= known.min() or place == 0)
    last = min(place for place, tick in enumerate(fine) if tick >= known.max() and place > first)
    return fine[first : last + 1]
