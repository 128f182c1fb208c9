from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stylectl.core.images import fit
from stylectl.core.schedule import Scale, plan_scales

sides = st.integers(1, 5000)
sizes = st.tuples(sides, sides)
counts = st.integers(1, 10)
steps_made = st.integers(0, 2000)
smallest = st.integers(1, 64)


@given(sizes, counts, steps_made, smallest)
def test_steps_add_up(size: tuple[int, int], scales: int, steps: int, side: int) -> None:
    planned = plan_scales(size, scales, steps, side)
    assert sum(scale.steps for scale in planned) == steps
    assert all(scale.steps >= 0 for scale in planned)


@given(sizes, counts, steps_made, smallest)
def test_the_last_scale_has_the_size_that_was_asked_for(
    size: tuple[int, int], scales: int, steps: int, side: int
) -> None:
    last = plan_scales(size, scales, steps, side)[-1]
    assert (last.height, last.width) == size


@given(sizes, counts, steps_made, smallest)
def test_never_more_scales_than_asked_for(
    size: tuple[int, int], scales: int, steps: int, side: int
) -> None:
    assert 1 <= len(plan_scales(size, scales, steps, side)) <= scales


@given(sizes, counts, st.integers(1, 2000), smallest)
def test_every_scale_makes_steps_when_there_are_enough(
    size: tuple[int, int], scales: int, steps: int, side: int
) -> None:
    planned = plan_scales(size, scales, steps, side)
    if steps >= 10 * len(planned):
        assert all(scale.steps >= 1 for scale in planned)


@given(sizes, counts, steps_made, smallest)
@example((3, 3), 5, 100, 1)  # 3, 2, and then 1 again and again
def test_sizes_increase(size: tuple[int, int], scales: int, steps: int, side: int) -> None:
    for coarse, fine in pairwise(plan_scales(size, scales, steps, side)):
        assert max(coarse.height, coarse.width) < max(fine.height, fine.width)
        assert coarse.height <= fine.height
        assert coarse.width <= fine.width


@given(sizes, counts, steps_made, smallest)
def test_no_side_of_a_coarser_scale_is_under_the_smallest(
    size: tuple[int, int], scales: int, steps: int, side: int
) -> None:
    for scale in plan_scales(size, scales, steps, side)[:-1]:
        assert min(scale.height, scale.width) >= side


@given(sizes, counts, steps_made, smallest)
def test_the_aspect_is_kept_to_rounding(
    size: tuple[int, int], scales: int, steps: int, side: int
) -> None:
    for scale in plan_scales(size, scales, steps, side):
        long, short = max(scale.height, scale.width), min(scale.height, scale.width)
        exact = long * min(size) / max(size)
        # Half a pixel (and float64's rounding of it), and never less than a pixel.
        assert abs(short - exact) <= 0.5 + 1e-9 or short == 1


@given(st.integers(100, 5000), counts)
def test_neighbouring_scales_have_half_the_pixels(side: int, scales: int) -> None:
    for coarse, fine in pairwise(plan_scales((side, side), scales, 100, 32)):
        # Each side is rounded by half a pixel, of 32 at least.
        assert fine.pixels / coarse.pixels == pytest.approx(2, rel=0.07)


def test_steps_are_shared_in_inverse_proportion_to_the_long_side() -> None:
    assert plan_scales((512, 512), 3, 70, 16) == [
        Scale(256, 256, 32),
        Scale(362, 362, 22),
        Scale(512, 512, 16),
    ]


def test_a_picture_under_the_smallest_side_has_one_scale() -> None:
    assert plan_scales((10, 500), 5, 100, 16) == [Scale(10, 500, 100)]


def test_no_steps_make_one_scale() -> None:
    assert plan_scales((512, 512), 4, 0, 16) == [Scale(512, 512, 0)]


@given(sizes, st.integers(1, 5000))
def test_fit_gives_the_long_side_or_leaves_a_smaller_image_alone(
    size: tuple[int, int], long_side: int
) -> None:
    fitted = fit(size, long_side)
    if max(size) <= long_side:
        assert fitted == size
    else:
        assert max(fitted) == long_side


@given(sizes, st.integers(1, 5000))
def test_fit_enlarges_when_told_to(size: tuple[int, int], long_side: int) -> None:
    assert max(fit(size, long_side, upscale=True)) == long_side


@given(sizes, st.integers(1, 5000), st.booleans())
def test_fit_keeps_the_aspect_to_rounding(
    size: tuple[int, int], long_side: int, upscale: bool
) -> None:
    height, width = fit(size, long_side, upscale)
    ratio = max(height, width) / max(size)
    for side, before in ((height, size[0]), (width, size[1])):
        assert side >= 1
        assert abs(side - before * ratio) <= 0.5 + 1e-9 or side == 1
    assert fit((size[1], size[0]), long_side, upscale) == (width, height)
