"""Measures and charts of a report, and the frames that it chooses."""

from __future__ import annotations

import math
import re

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from stylectl.tools.video.report.chart import time_chart
from stylectl.tools.video.report.contact_sheet import spread, time_text
from stylectl.tools.video.report.crops import shown_frames
from stylectl.tools.video.report.flicker import frame_errors, mean_error
from stylectl.tools.video.report.frame_by_frame import compared_frames
from stylectl.tools.video.work.flows import KnownFlow
from torch import Tensor


@st.composite
def clips(draw: st.DrawFn) -> tuple[int, list[int]]:
    """Number of frames, and the first frames of the scenes."""
    frames = draw(st.integers(1, 60))
    starts = draw(st.sets(st.integers(1, frames), max_size=8))
    return frames, sorted({0, *(start for start in starts if start < frames)})


@given(clips())
def test_compared_frames_are_of_one_scene_and_as_many_as_wanted(
    clip: tuple[int, list[int]],
) -> None:
    frames, starts = clip
    numbers = compared_frames(starts, frames)
    lengths = [end - start for start, end in zip(starts, [*starts[1:], frames], strict=True)]
    assert len(numbers) == min(12, max(lengths))
    assert 0 <= numbers[0] <= numbers[-1] < frames
    assert not any(numbers[0] < start <= numbers[-1] for start in starts)


def test_compared_frames_are_in_the_middle_of_the_clip() -> None:
    assert compared_frames([0], 100) == range(44, 56)
    assert compared_frames([0, 10, 50], 100) == range(38, 50)


@given(st.integers(1, 400))
def test_a_contact_sheet_spreads_over_the_clip(frames: int) -> None:
    numbers = spread(frames)
    assert len({*numbers}) == len(numbers) == min(12, frames)
    assert (numbers[0], numbers[-1]) == (0, frames - 1)


def test_shown_frames_are_in_the_middle() -> None:
    assert shown_frames(range(10, 22)) == range(13, 19)
    assert shown_frames(range(3, 5)) == range(3, 5)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.00"), (7.25, "0:07.25"), (59.999, "1:00.00"), (3727, "1:02:07.00")],
)
def test_times_are_minutes_and_seconds(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def shifted(number: int) -> Tensor:
    """A ramp that moves one pixel to the left a frame, with a step of 0.1 in its brightness."""
    ramp = torch.arange(20, dtype=torch.float32) + number
    return (ramp / 100).expand(1, 3, 8, 20) + 0.1 * number


def motion(number: int, former: int) -> KnownFlow:
    flow = torch.zeros(1, 2, 8, 20)
    flow[:, 0] = number - former
    reliability = torch.ones(1, 1, 8, 20)
    reliability[..., 20 - (number - former) :] = 0
    return KnownFlow(flow, reliability)


def test_errors_are_those_that_the_motion_does_not_explain() -> None:
    errors = list(frame_errors(range(4), 1, shifted, motion))
    assert [frame.error is None for frame in errors] == [True, False, False, False]
    # A step of brightness of 0.1 remains, of single precision.
    assert mean_error(errors) == pytest.approx(0.01, rel=1e-4)
    assert errors[1].part == pytest.approx(19 / 20)
    assert mean_error(frame_errors(range(4), 2, shifted, motion)) == pytest.approx(0.04, rel=1e-4)


def test_frames_without_a_former_one_or_without_flow_have_no_error() -> None:
    assert mean_error(frame_errors(range(4), 10, shifted, motion)) is None
    assert mean_error(frame_errors(range(4), 1, shifted, lambda *_: None)) is None


@given(st.lists(st.none() | st.floats(0, 1e6), min_size=1, max_size=30), st.floats(0, 1e5))
@example([150045.0], 0.0)
def test_all_of_a_chart_is_inside_of_its_plot(values: list[float | None], rate: float) -> None:
    times = [number * rate for number in range(len(values))]
    chart = time_chart({"result": values}, times, [0])
    points = re.findall(r"[ML](\S+) (\S+) h0", chart.curves[0].path)
    assert len(points) == sum(value is not None for value in values)
    for x, y in points:
        assert chart.left <= float(x) <= chart.right
        assert chart.top <= float(y) <= chart.bottom
    assert [tick.at for tick in chart.values] == sorted(
        {tick.at for tick in chart.values}, reverse=True
    )
    assert 2 <= len(chart.values) <= 12
    assert not any(math.isnan(tick.at) for tick in chart.seconds)


def test_a_curve_is_interrupted_where_there_is_no_value() -> None:
    chart = time_chart({"result": [None, 1, 2, None, 1]}, [0, 1, 2, 3, 4], [0, 3])
    assert [part[0] for part in chart.curves[0].path.split(" ") if part[0] in "ML"] == [
        "M",
        "L",
        "M",
    ]
    assert len(chart.starts) == 1
