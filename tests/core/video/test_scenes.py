from __future__ import annotations

import numpy as np
import pytest
from stylectl.core.video.scenes import histogram_distance, is_cut


def picture(seed: int, low: int, high: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (320, 480, 3)).astype(np.uint8)


def test_the_distance_of_histograms_is_from_0_to_1() -> None:
    dark, light = picture(1, 0, 32), picture(2, 224, 256)
    assert histogram_distance(dark, dark) == pytest.approx(0, abs=1e-6)
    assert histogram_distance(dark, light) == pytest.approx(1)
    assert histogram_distance(dark, light) == histogram_distance(light, dark)


def test_a_cut_changes_colors_and_breaks_the_flow() -> None:
    assert is_cut(picture(1, 0, 100), picture(2, 100, 256), reliable_part=0.1)


def test_a_flash_is_no_cut() -> None:
    assert not is_cut(picture(1, 0, 100), picture(1, 100, 256), reliable_part=0.9)


def test_a_fast_pan_is_no_cut() -> None:
    assert not is_cut(picture(1, 0, 256), picture(2, 0, 256), reliable_part=0.3)


def test_a_cut_to_a_view_of_like_colors_is_one() -> None:
    assert is_cut(picture(1, 0, 256), picture(2, 0, 256), reliable_part=0.01)
