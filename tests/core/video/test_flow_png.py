from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stylectl.core.video.flow_png import decoded, encoded


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000))
def test_a_flow_comes_back_to_a_128th_of_a_pixel(height: int, width: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    flow = generator.uniform(-500, 500, (height, width, 2)).astype(np.float32)
    valid = generator.random((height, width)) < 0.5
    back, marks = decoded(encoded(flow, valid))
    assert np.abs(back - flow).max() <= 1 / 128
    assert (marks == valid).all()


def test_displacements_that_do_not_fit_are_not_valid() -> None:
    flow = np.zeros((2, 3, 2), np.float32)
    flow[0, 0, 0], flow[1, 2, 1] = 512, -513
    _, marks = decoded(encoded(flow, np.ones((2, 3), bool)))
    assert marks.sum() == 4
    assert not marks[0, 0]
    assert not marks[1, 2]


def test_no_motion_is_exactly_zero() -> None:
    flow, _ = decoded(encoded(np.zeros((4, 4, 2), np.float32), np.ones((4, 4), bool)))
    assert (flow == 0).all()


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x89PNG\r\n\x1a\n"])
def test_other_data_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="16 bits"):
        decoded(data)
