"""Flicker of a sequence of frames: their warping errors at several distances."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor

from ....core.video.warping_error import warping_error
from ..work.flows import KnownFlow

#: Distances, in frames, at which the flicker is measured.
DISTANCES = (1, 5, 10)


@dataclass(frozen=True)
class FrameError:
    """Warping error of a frame from a former one.

    `part` in [0, 1] is the part of the frame that has a reliable counterpart in the former one;
    where it is 0 there is no `error`.
    """

    number: int
    error: float | None
    part: float = 0.0


def frame_errors(
    numbers: range,
    distance: int,
    image: Callable[[int], Tensor],
    flow: Callable[[int, int], KnownFlow | None],
) -> Iterator[FrameError]:
    """Yield the warping error of each of the frames `numbers` from the one `distance` before.

    `image` gives a frame (1, 3, H, W), RGB, in [0, 1], and `flow` the flow of a frame to another,
    or None where there is none. There is no error where the former frame is not among `numbers`.
    """
    for number in numbers:
        former = number - distance
        known = flow(number, former) if former in numbers else None
        if known is None:
            yield FrameError(number, None)
            continue
        error = warping_error(image(number), image(former), known.flow, known.reliability)
        yield FrameError(number, error, known.reliability.mean().item())


def mean_error(errors: Iterable[FrameError]) -> float | None:
    """Return the mean of the errors, or None if there are none."""
    return mean([frame.error for frame in errors if frame.error is not None])


def mean(values: list[float]) -> float | None:
    """Return the mean of some values, or None of none."""
    return sum(values) / len(values) if values else None
