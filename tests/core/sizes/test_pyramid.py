from __future__ import annotations

from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stylectl.core.sizes.fitting import fit
from stylectl.core.sizes.pyramid import FIRST_LONG_SIDE, Scale, plan_scales

Auto = Literal["auto"]

sides = st.integers(1, 5000)
sizes = st.tuples(sides, sides)
counts = st.one_of(st.integers(1, 10), st.just("auto"))
steps_made = st.integers(0, 2000)
smallest = st.integers(1, 64)


@given(sizes, counts, steps_made, smallest)
def test_steps_add_up(size: tuple[int, int], scales: int | Auto, steps: int, side: int) -> None:
    planned = plan_scales(size, scales, steps, side)
    assert sum(scale.steps for scale in planned) == steps
    assert all(scale.steps >= 0 for scale in planned)


@given(sizes, counts, steps_made, smallest)
def test_the_last_scale_has_the_size_that_was_asked_for(
    size: tuple[int, int], scales: int | Auto, steps: int, side: int
) -> None:
    last = plan_scales(size, scales, steps, side)[-1]
    assert (last.height, last.width) == size


@given(sizes, st.integers(1, 10), steps_made, smallest)
def test_never_more_scales_than_asked_for(
    size: tuple[int, int], scales: int, steps: int, side: int
) -> None:
    assert 1 <= len(plan_scales(size, scales, steps, side)) <= scales


@given(sizes, counts, st.integers(1, 2000), smallest)
@example((512, 340), "auto", 5, 1)
def test_every_scale_makes_at_least_one_step(
    size: tuple[int, int], scales: int | Auto, steps: int, side: int
) -> None:
    assert all(scale.steps >= 1 for scale in plan_scales(size, scales, steps, side))


@given(sizes, counts, steps_made, smallest)
@example((3, 3), 5, 100, 1)  # 3, 2, and then 1 again and again
def test_sizes_increase(size: tuple[int, int], scales: int | Auto, steps: int, side: int) -> None:
    for coarse, fine in pairwise(plan_scales(size, scales, steps, side)):
        assert max(coarse.height, coarse.width) < max(fine.height, fine.width)
        assert coarse.height <= fine.height
        assert coarse.width <= fine.width


@given(sizes, counts, steps_made, smallest)
def test_no_side_of_a_coarser_scale_is_under_the_smallest(
    size: tuple[int, int], scales: int | Auto, steps: int, side: int
) -> None:
    for scale in plan_scales(size, scales, steps, side)[:-1]:
        assert min(scale.height, scale.width) >= side


@given(sizes, counts, steps_made, smallest)
def test_the_aspect_is_kept_to_rounding(
    size: tuple[int, int], scales: int | Auto, steps: int, side: int
) -> None:
    for scale in plan_scales(size, scales, steps, side):
        long, short = max(scale.height, scale.width), min(scale.height, scale.width)
        exact = long * min(size) / max(size)
        # Half a pixel (and float64's rounding of it), and never less than a pixel.
        assert abs(short - exact) <= 0.5 + 1e-9 or short == 1


@given(st.integers(100, 5000), st.integers(1, 10))
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


# As many as the size needs


@given(st.integers(1, 20_000))
def test_pictures_of_all_sizes_begin_with_the_same_scale(side: int) -> None:
    first = plan_scales((side, side), "auto", 1000, 16)[0]
    # Half-way to the next scale's size, a quarter of the pixels more, there is not a second one.
    expected = min(side, FIRST_LONG_SIDE) if side >= 1.19 * FIRST_LONG_SIDE else side
    assert first.width == expected


@given(st.integers(128, 20_000))
def test_the_schedules_neighbours_have_about_half_the_pixels(side: int) -> None:
    for coarse, fine in pairwise(plan_scales((side, side), "auto", 1000, 16)):
        # A single gap may be up to half a gap off, and each side is rounded.
        assert 2**0.5 * 0.95 <= fine.pixels / coarse.pixels <= 2**1.5 * 1.05


@given(st.integers(0, 4), st.integers(300, 1000))
def test_a_size_twice_as_large_goes_on_where_the_smaller_one_ends(gaps: int, steps: int) -> None:
    side = round(FIRST_LONG_SIDE * 2 ** (gaps / 2))
    small = [scale.size for scale in plan_scales((side, side), "auto", steps, 16)]
    large = [scale.size for scale in plan_scales((2 * side, 2 * side), "auto", steps, 16)]
    for mine, other in zip(small, large, strict=False):
        assert mine[0] == pytest.approx(other[0], abs=1)
    assert len(large) == len(small) + 2


@given(st.integers(128, 20_000), st.integers(100, 1000))
def test_no_scale_gets_less_than_a_share_of_the_steps(side: int, steps: int) -> None:
    planned = plan_scales((side, side), "auto", steps, 16)
    # The shares are of a sum that the least share has made larger: by a half at 16 scales.
    assert all(scale.steps >= steps / 15 / 2 - 1 for scale in planned)


def test_the_default_size_has_five_scales() -> None:
    assert plan_scales((384, 512), "auto", 300, 16) == plan_scales((384, 512), 5, 300, 16)


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


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        ((512, 512), [64, 128, 256, 512]),
        ((341, 512), [64, 128, 256, 512]),
        ((400, 300), [100, 200, 400]),
        ((60, 40), [60]),
    ],
)
def test_octaves_double_from_64_px_on_with_equal_steps(
    size: tuple[int, int], sides: list[int]
) -> None:
    planned = plan_scales(size, "octaves", 200 * len(sides), 1)
    assert [max(scale.size) for scale in planned] == sides
    assert {scale.steps for scale in planned} == {200}


@given(sizes, counts, steps_made, smallest)
def test_a_final_pass_is_one_more_scale_of_the_same_size(
    size: tuple[int, int], scales: int | Auto, steps: int, side: int
) -> None:
    planned = plan_scales(size, scales, steps, side, final_pass=True)
    assert sum(scale.steps for scale in planned) == steps
    assert all(scale.size == size for scale in planned[-2:] if planned[-1].final_pass)
    assert not any(scale.final_pass for scale in planned[:-1])
    assert planned[-1].final_pass or steps <= len(planned)


def test_octaves_and_a_final_pass_are_the_steps_of_the_paper() -> None:
    planned = plan_scales((512, 512), "octaves", 1000, 1, final_pass=True)
    assert [(scale.width, scale.steps) for scale in planned] == [
        (64, 200),
        (128, 200),
        (256, 200),
        (512, 200),
        (512, 200),
    ]
