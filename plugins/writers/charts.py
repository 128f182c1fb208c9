"""Chart of the losses in a report: the coordinates of its curves, ticks and labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from ...core.interfaces.result import StepRecord

#: Size of the drawing, and the edges of the plot in it, in the drawing's units.
WIDTH, HEIGHT = 760, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 752, 24, 292

#: Most points of a curve at one scale; more would make no visible difference.
_MOST_POINTS = 400
_MOST_TICKS = 7

#: Width of a letter in a label.
_LETTER = 6.5


@dataclass(frozen=True)
class Curve:
    """Losses of one term, as the data of an SVG path that is interrupted between the scales."""

    name: str
    path: str


@dataclass(frozen=True)
class Tick:
    """Position on an axis, and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Losses (logarithmic, upwards) over the evaluated images (to the right).

    Each scale has a part of the horizontal axis. `curves` has the terms, `sum` the path of their
    sum, if there are several. `values` are the ticks of the vertical axis; `scales` has the middle
    and the label of each part that has room for its label, `borders` the positions between the
    parts.
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
    """Chart of all terms, and of their sum if there are several; `labels` name the scales.

    Values that are not positive and finite have no logarithm and are left out.
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

    def x(index: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * (index + 0.5) / len(steps), 1)

    def y(value: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * (math.log10(value) - low) / (high - low), 1)

    def path(values: np.ndarray) -> str:
        runs = []
        for part in parts.values():
            drawn = [index for index in _thinned(part) if not math.isnan(values[index])]
            if drawn:
                points = [f"{x(index)} {y(values[index])}" for index in drawn]
                runs.append(f"M{' L'.join(points)}" if len(points) > 1 else f"M{points[0]} h0")
        return " ".join(runs)

    return Chart(
        curves=tuple(Curve(name, path(values)) for name, values in series.items()),
        sum=path(sums),
        values=tuple(Tick(y(value), f"{value:g}") for value in ticks),
        scales=tuple(
            Tick(x((part[0] + part[-1]) / 2), label)
            for scale, part in parts.items()
            if (label := labels.get(scale, f"scale {scale + 1}"))
            and _LETTER * len(label) < x(part[-1] + 0.5) - x(part[0] - 0.5)
        ),
        borders=tuple(x(part[0] - 0.5) for part in list(parts.values())[1:]),
    )


def _drawable(values: np.ndarray) -> np.ndarray:
    """Replace values that have no logarithm by NaN."""
    return np.where(np.isfinite(values) & (values > 0), values, math.nan)


def _parts(steps: Sequence[StepRecord]) -> dict[int, range]:
    """Indices of each scale's records."""
    parts = {}
    for scale, group in groupby(enumerate(steps), lambda item: item[1].scale):
        indices = [index for index, _ in group]
        parts[scale] = range(indices[0], indices[-1] + 1)
    return parts


def _thinned(part: range) -> list[int]:
    """Select the first and the last index, and as many between them as are drawn."""
    count = min(len(part), _MOST_POINTS)
    return [part[int(index)] for index in np.linspace(0, len(part) - 1, count).round()]


def _ticks(values: np.ndarray) -> list[float]:
    """Round numbers, at least two, from below the least value to above the greatest."""
    finite = values[~np.isnan(values)]
    if not finite.size:
        return [0.1, 1.0]
    low, high = math.floor(math.log10(finite.min())), math.ceil(math.log10(finite.max()))
    high = max(high, low + 1)
    if high - low > 2:
        step = -(-(high - low) // (_MOST_TICKS - 1))
        exponents = range(low, high + step, step)
        return [10.0**exponent for exponent in exponents if exponent < 308]
    fine = [m * 10.0**exponent for exponent in range(low, high + 1) for m in (1, 2, 5)]
    first = max(index for index, tick in enumerate(fine) if tick <= finite.min() or index == 0)
    last = min(index for index, tick in enumerate(fine) if tick >= finite.max() and index > first)
    return fine[first : last + 1]
