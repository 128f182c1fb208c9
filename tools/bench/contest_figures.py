"""Figures of a contest, as JSON and as text."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from .contest import Outcome, Record


@dataclass(frozen=True)
class Figures:
    """Figures of one contender.

    `seconds` is the median time of an iteration, `seconds_spread` the least and the most. In the
    time that the fastest contender took for all its iterations, this one did
    `iterations_in_equal_time`, the last with the loss `loss_after_equal_time`. `curve` has for each
    iteration the seconds since the beginning of the first one, and the loss.
    """

    name: str
    device: str
    details: dict[str, str]
    seconds: float
    seconds_spread: tuple[float, float]
    seconds_to_start: float
    peak_memory_mb: float
    loss_after_equal_time: float
    iterations_in_equal_time: int
    curve: list[tuple[float, float]]


#: Fields that are compared as ratios, with their names in the text.
_COMPARED = {
    "seconds": "an iteration",
    "seconds_to_start": "the start",
    "peak_memory_mb": "memory",
    "loss_after_equal_time": "loss",
}


def figures_of(outcome: Outcome) -> list[Figures]:
    """Return the figures of all contenders, in the order of the records."""
    equal_time = _equal_time(outcome.records)
    return [_figures(record, equal_time) for record in outcome.records]


def record_of(outcome: Outcome) -> dict[str, Any]:
    """Return all figures, ready for JSON. A ratio is the peer's figure divided by ours."""
    *ours, peer = figures_of(outcome)
    return {
        "size": list(outcome.size),
        "threads": outcome.threads,
        "iterations": len(outcome.records[0].iterations),
        "equal_time_seconds": round(_equal_time(outcome.records), 3),
        "contenders": [vars(figures) for figures in (*ours, peer)],
        "ratios": [
            {"of": peer.name, "to": figures.name, **_ratios(peer, figures)} for figures in ours
        ],
    }


def in_words(outcome: Outcome) -> str:
    """Return the figures as text."""
    *ours, peer = figures_of(outcome)
    (width, height), count = outcome.size, len(outcome.records[0].iterations)
    head = f"{width}x{height} px, {count} iterations, {outcome.threads} threads, on {peer.device}\n"
    blocks = [_block(figures, _equal_time(outcome.records)) for figures in (*ours, peer)]
    lines = []
    for figures in ours:
        ratios = _ratios(peer, figures).items()
        text = ", ".join(f"{_COMPARED[key]} {ratio:.2f}" for key, ratio in ratios if ratio)
        lines.append(f"{peer.name} in multiples of {figures.name}: {text}")
    return "\n".join([head, *blocks, *lines])


def _block(figures: Figures, equal_time: float) -> str:
    low, high = figures.seconds_spread
    details = "".join(f", {name} {value}" for name, value in figures.details.items())
    return (
        f"{figures.name}{details}\n"
        f"iteration            {figures.seconds:.3f} s (median; {low:.3f} to {high:.3f})\n"
        f"begins to iterate    after {figures.seconds_to_start:.1f} s\n"
        f"peak memory          {figures.peak_memory_mb:.0f} MB\n"
        f"loss                 {figures.loss_after_equal_time:.5g} after {equal_time:.3g} s of "
        f"iterating, {figures.iterations_in_equal_time} iterations\n"
    )


def _figures(record: Record, equal_time: float) -> Figures:
    durations = [seconds for seconds, _ in record.iterations]
    losses = [loss for _, loss in record.iterations]
    ends = list(accumulate(durations))
    done = sum(end <= equal_time for end in ends)
    return Figures(
        name=record.name,
        device=record.device,
        details=dict(record.details),
        seconds=round(statistics.median(durations), 4),
        seconds_spread=(round(min(durations), 4), round(max(durations), 4)),
        seconds_to_start=round(record.seconds_to_start, 3),
        peak_memory_mb=round(record.peak_memory_mb, 1),
        # Until its first iteration is done, the loss is that of the content image, its start.
        loss_after_equal_time=losses[max(done, 1) - 1],
        iterations_in_equal_time=done,
        curve=[(round(end, 4), loss) for end, loss in zip(ends, losses, strict=True)],
    )


def _equal_time(records: Sequence[Record]) -> float:
    """Return the seconds of the fastest contender, added up as in its curve."""
    return min(
        list(accumulate(seconds for seconds, _ in record.iterations))[-1] for record in records
    )


def _ratios(peer: Figures, ours: Figures) -> dict[str, float | None]:
    """Return the ratios; None where ours is 0, as the loss of a flat image with itself is."""
    pairs = {key: (getattr(peer, key), getattr(ours, key)) for key in _COMPARED}
    return {
        key: round(peer_value / our_value, 3) if our_value else None
        for key, (peer_value, our_value) in pairs.items()
    }
