from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

import pytest
import torch
from stylectl.backends.accuracy.distances import cosine_distance, max_abs, max_rel, relative_l2
from stylectl.backends.accuracy.exact import ExactBackend
from stylectl.core.interfaces.backend import Precision
from stylectl.testing import KinkedBackbone, TinyBackbone
from stylectl.tools.parity.images import parity_images
from stylectl.tools.parity.report import Figure, Quantity, Report, worst_of
from stylectl.tools.parity.tolerances import TOLERANCES

PAGE = Path(__file__).parents[3] / "docs" / "parity.md"


def test_every_precision_has_every_tolerance_with_a_reason() -> None:
    assert list(TOLERANCES) == list(get_args(Precision))
    for precision, tolerances in TOLERANCES.items():
        # Rounding to shorter numbers hides finite differences.
        missing = set() if precision == "float32" else {Quantity.GRADIENT_SLOPES}
        assert list(tolerances) == [kind for kind in Quantity if kind not in missing]
        assert all(len(tolerance.reason) > 20 for tolerance in tolerances.values())


def test_the_page_has_the_tolerances_of_the_code() -> None:
    rows = [
        f"| {precision} | {quantity} | {tolerance.limit:g} | {tolerance.reason} |"
        for precision, tolerances in TOLERANCES.items()
        for quantity, tolerance in tolerances.items()
    ]
    lines = PAGE.read_text().splitlines()
    first = lines.index(rows[0])
    assert lines[first : first + len(rows)] == rows
    assert not lines[first + len(rows)].startswith("|")
    for quantity in Quantity:
        assert f"**{quantity}**" in PAGE.read_text()


@pytest.mark.parametrize("precision", TOLERANCES)
def test_the_cosines_tolerance_is_that_of_the_relative_difference(precision: str) -> None:
    # A difference across a vector, of a share d of its length, turns it by an angle of cosine
    # 1 / sqrt(1 + d^2), which is 1 - d^2 / 2 for small d.
    share = TOLERANCES[precision][Quantity.GRADIENT_L2].limit
    limit = TOLERANCES[precision][Quantity.GRADIENT_COSINE].limit
    assert limit == pytest.approx(share**2 / 2, rel=0.1)


def test_the_measures_of_a_known_difference() -> None:
    exact = torch.tensor([3.0, 4.0, 0.0])
    got = torch.tensor([3.0, 4.0, 5.0])
    assert relative_l2(got, exact) == pytest.approx(1)
    assert max_abs(got, exact) == 5
    assert cosine_distance(got, exact) == pytest.approx(1 - math.cos(math.pi / 4))
    assert cosine_distance(-exact, exact) == pytest.approx(2)
    # 0 lies below the root mean square, and does not count.
    assert max_rel(got, exact) == 0
    assert max_rel(1.5 * exact, exact) == pytest.approx(0.5)


def test_the_measures_of_nothing_and_of_no_number() -> None:
    zero, one = torch.zeros(3), torch.ones(3)
    for measure in (relative_l2, max_abs, max_rel, cosine_distance):
        assert measure(zero, zero) == 0
        assert measure(one, one) == 0
        assert measure(one, zero) > 0.5
        assert not measure(one * math.nan, one) < 1
    assert math.isnan(worst_of([1.0, math.nan]))
    assert math.isnan(worst_of([math.nan, 1.0]))
    assert worst_of([1.0, 2.0]) == 2


def test_small_angles_are_not_rounded_away() -> None:
    exact = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert cosine_distance(exact + torch.tensor([0, 1e-9]), exact) == pytest.approx(5e-19)


def figure(value: float, limit: float, picture: str = "a") -> Figure:
    return Figure(Quantity.FEATURES_L2, "relu1_1", picture, value, limit)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2.0])
def test_what_is_not_finite_is_beyond_tolerance(value: float) -> None:
    report = Report((figure(0.5, 1), figure(value, 1, "b"), figure(0.9, 1, "c")))
    assert not report.ok
    assert [each.picture for each in report.worst()] == ["b"]


def test_the_worst_picture_is_by_its_own_tolerance() -> None:
    report = Report((figure(5, 10, "large"), figure(0.9, 1, "small")))
    assert report.ok
    assert [each.picture for each in report.worst()] == ["small"]


def test_the_pictures_are_fixed_and_have_room_for_the_layers() -> None:
    pictures = parity_images(1)
    for picture, again in zip(pictures, parity_images(1), strict=True):
        assert torch.equal(picture.image, again.image)
        assert picture.image.dtype == torch.float32
        assert picture.image.min() >= 0
        assert picture.image.max() <= 1
        assert picture.flat == (picture.image.amax((2, 3)) == picture.image.amin((2, 3))).all()
    sides = {side % 2 for picture in pictures for side in picture.image.shape[2:]}
    assert sides == {0, 1}
    assert all(min(picture.image.shape[2:]) >= 50 for picture in parity_images(50))


@pytest.mark.parametrize("backbone", [TinyBackbone(), KinkedBackbone()])
def test_the_reference_agrees_with_central_differences(
    backbone: TinyBackbone | KinkedBackbone, generator: torch.Generator
) -> None:
    exact = ExactBackend(backbone, [info.name for info in backbone.layers])
    image, direction = torch.rand(2, 1, 3, 9, 10, generator=generator, dtype=torch.float64)
    features, pullback = exact.vjp(image)
    cotangents = {name: torch.rand(value.shape) for name, value in features.items()}
    slope = (pullback(cotangents) * direction).sum().item()
    assert torch.equal(pullback(cotangents), pullback(cotangents))  # it can be asked again
    step = 1e-6  # no rectifier is so near its kink
    ends = [exact.features(image + sign * step * direction) for sign in (1, -1)]
    change = sum(
        ((ends[0][name] - ends[1][name]) * cotangents[name]).sum().item() for name in cotangents
    )
    # 1e-16 of the value, divided by the step.
    assert slope == pytest.approx(change / (2 * step), rel=1e-7)
