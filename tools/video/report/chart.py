"""Charts of errors over the time of a clip: the coordinates of curves, ticks and labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ....plugins.writers.charts import Curve, Tick

#: Size of the drawing, and the edges of the plot in it, in the drawing's units.
_WIDTH, _HEIGHT = 760, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 736, 24, 192

_MOST_TICKS = 6

#: Values up to this are zero: half a level of 16 bits has a square of 6e-11.
_ZERO = 1e-12

#: A number that is as good as a round one is taken for it.
_ROUNDING = 1 - 1e-9


@dataclass(frozen=True)
class TimeChart:
    """Values (upwards, from 0) over seconds (to the right).

    `curves` are interrupted where there is no value, `starts` the positions of the scenes' first
    frames, but for that of the clip.
    """

    curves: tuple[Curve, ...]
    values: tuple[Tick, ...]
    seconds: tuple[Tick, ...]
    starts: tuple[float, ...]
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _RIGHT
    top: int = _TOP
    bottom: int = _BOTTOM


def time_chart(
    series: Mapping[str, Sequence[float | None]],
    times: Sequence[float],
    scene_starts: Sequence[int],
) -> TimeChart:
    """Chart each series, which has a value, or None, for each of the `times`, in seconds."""
    present = [value for values in series.values() for value in values if value is not None]
    ticks = _ticks(_extent(max(present, default=0.0)))
    top, last = ticks[-1], _extent(times[-1])

    def x(seconds: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * seconds / last, 1)

    def y(value: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * value / top, 1)

    def path(values: Sequence[float | None]) -> str:
        parts, drawing = [], False
        for value, seconds in zip(values, times, strict=True):
            if value is not None:
                # A point by itself has no length, and is drawn by the round ends of its line.
                parts.append(f"{'L' if drawing else 'M'}{x(seconds)} {y(value)} h0")
            drawing = value is not None
        return " ".join(parts)

    return TimeChart(
        curves=tuple(Curve(name, path(values)) for name, values in series.items()),
        values=tuple(Tick(y(value), f"{value:.6g}") for value in ticks),
        seconds=tuple(Tick(x(value), f"{value:.6g}") for value in _ticks(last) if value <= last),
        starts=tuple(x(times[start]) for start in scene_starts if start),
    )


def _extent(greatest: float) -> float:
    """Return the length of an axis: 1 where all is as good as zero."""
    return greatest if greatest > _ZERO else 1.0


def _ticks(greatest: float) -> list[float]:
    """Return round numbers from 0 to at least `greatest`, which is positive."""
    rough = greatest / (_MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * _ROUNDING)
    return [step * index for index in range(math.ceil(greatest / step * _ROUNDING) + 1)]
