"""A contest's figures: what is compared, as JSON and in words."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from .contest import Outcome, Record


@dataclass(frozen=True)
class Figures:
    """Of one contender. `seconds` is the median of an iteration's, `seconds_spread` their least and
    most; `loss_after_equal_time` is the last loss that it had found when the fastest contender was
    through, counted from the beginning of its first iteration, and `iterations_in_equal_time` how
    many it had done. `curve` has the seconds since then and the loss, for each iteration."""

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


#: What ratios are taken of, with a word for it.
_COMPARED = {
    "seconds": "an iteration",
    "seconds_to_start": "the start",
    "peak_memory_mb": "memory",
    "loss_after_equal_time": "loss",
}


def figures_of(outcome: Outcome) -> list[Figures]:
    """In the order of the records."""
    equal_time = _equal_time(outcome.records)
    return [_figures(record, equal_time) for record in outcome.records]


def record_of(outcome: Outcome) -> dict[str, Any]:
    """Everything, ready for JSON. A ratio is the peer's figure divided by ours."""
    *ours, peer = figures_of(outcome)
    return {
        "size": list(outcome.size),
        "threads": outcome.threads,
        "iterations": len(outcome.records[0].iterations),
        "equal_time_seconds": round(_equal_time(outcome.records), 3),
        "contenders": [vars(each) for each in (*ours, peer)],
        "ratios": [{"of": peer.name, "to": each.name, **_ratios(peer, each)} for each in ours],
    }


def in_words(outcome: Outcome) -> str:
    """The same for people."""
    *ours, peer = figures_of(outcome)
    (width, height), count = outcome.size, len(outcome.records[0].iterations)
    head = f"{width}x{height} px, {count} iterations, {outcome.threads} threads, on {peer.device}\n"
    blocks = [_block(each, _equal_time(outcome.records)) for each in (*ours, peer)]
    lines = []
    for each in ours:
        ratios = _ratios(peer, each).items()
        told = ", ".join(f"{_COMPARED[key]} {ratio:.2f}" for key, ratio in ratios if ratio)
        lines.append(f"{peer.name} in multiples of {each.name}: {told}")
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
    seconds = [taken for taken, _ in record.iterations]
    losses = [loss for _, loss in record.iterations]
    ends = list(accumulate(seconds))
    done = sum(end <= equal_time for end in ends)
    return Figures(
        name=record.name,
        device=record.device,
        details=dict(record.details),
        seconds=round(statistics.median(seconds), 4),
        seconds_spread=(round(min(seconds), 4), round(max(seconds), 4)),
        seconds_to_start=round(record.seconds_to_start, 3),
        peak_memory_mb=round(record.peak_memory_mb, 1),
        # Before its first iteration is done, a picture is the content image, as everyone's was.
        loss_after_equal_time=losses[max(done, 1) - 1],
        iterations_in_equal_time=done,
        curve=[(round(end, 4), loss) for end, loss in zip(ends, losses, strict=True)],
    )


def _equal_time(records: Sequence[Record]) -> float:
    """Seconds of the one who was through first, added up as in its curve."""
    return min(list(accumulate(taken for taken, _ in each.iterations))[-1] for each in records)


def _ratios(peer: Figures, ours: Figures) -> dict[str, float | None]:
    """None where ours is 0, as the loss of a flat picture with itself is."""
    pairs = {key: (getattr(peer, key), getattr(ours, key)) for key in _COMPARED}
    return {key: round(one / other, 3) if other else None for key, (one, other) in pairs.items()}
