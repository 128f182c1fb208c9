from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from stylectl.tools.clips.reading.frame_times import FrameTimes

Stamp = tuple[int | None, int | None]


def times_of(stamps: Sequence[Stamp], gap: int = 1) -> tuple[list[float], FrameTimes]:
    """Return the times of frames with timestamps of presentation and of decoding, in seconds."""
    first = next((stamp for stamp in stamps[0] if stamp is not None), 0)
    times = FrameTimes(Fraction(first), Fraction(gap))
    taken = [
        times.next(*(None if stamp is None else Fraction(stamp) for stamp in pair))
        for pair in stamps
    ]
    return [float(time) for time in taken], times


def test_times_of_presentation_are_kept() -> None:
    times, counted = times_of([(7, 5), (8, 6), (10, 7), (15, 11)])
    assert times == [0, 1, 3, 8]
    assert counted.jump is None


def test_times_of_decoding_are_used_where_those_of_presentation_are_mixed_up() -> None:
    # As of an MP4 whose B-frames have no composition times.
    times, counted = times_of([(0, 2), (3, 3), (2, 4), (4, 5), (1, 6), (7, None), (6, None)])
    assert times == [0, 3, 4, 5, 6, 7, 8]
    assert counted.jump is None


def test_a_time_that_repeats_moves_one_frame_alone() -> None:
    times, counted = times_of([(1, 1), (2, 2), (3, 3), (5, 4), (4, 5), (6, 6), (8, 7), (7, 8)])
    assert times == [0, 1, 2, 4, 4.5, 5, 6, 7]
    assert counted.jump is None


def test_after_a_jump_back_the_times_go_on_evenly() -> None:
    times, counted = times_of([(5, 5), (6, 6), (7, 7), (2, 2), (3, 3), (4, 4)])
    assert times == [0, 1, 2, 3, 4, 5]
    assert counted.jump == 3


def test_frames_without_timestamps_follow_evenly() -> None:
    times, _ = times_of([(None, None)] * 3 + [(None, 9)], gap=2)
    assert times == [0, 2, 4, 9]


_STAMPS = st.one_of(st.none(), st.integers(-50, 50))


@given(st.lists(st.tuples(_STAMPS, _STAMPS), min_size=1, max_size=30), st.integers(1, 5))
def test_times_rise_whatever_the_timestamps_are(stamps: list[Stamp], gap: int) -> None:
    times, _ = times_of(stamps, gap)
    assert times[0] == 0
    assert all(one < other for one, other in pairwise(times))
