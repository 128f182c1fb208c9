"""Strength: its mapping to the terms' weights, and what it does to the picture."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import stylectl
from hypothesis import given
from hypothesis import strategies as st
from stylectl.core.errors import UsageError
from stylectl.core.job.building import build_job
from stylectl.core.job.paths import SAMPLES
from stylectl.core.job.presets import PRESETS
from stylectl.core.job.toml import job_toml
from stylectl.core.planning.planner import make_plan
from stylectl.plugins.manager import load_plugins
from stylectl.tools.maintenance.strength_table import Distances, distances

PHOTO, PAINTING = (str(SAMPLES[name]) for name in ("sample:photo", "sample:painting"))
REGISTRY = load_plugins().registry


def weights(file: dict[str, Any] | None = None, preset: str | None = None, **options: Any) -> Any:
    """By term: its weight in the objective."""
    plan = make_plan(build_job(options, file, preset), REGISTRY)
    return {term.name: term.weight for term in plan.terms}


@pytest.mark.parametrize("preset", sorted({*PRESETS} - {"nnst", "strotss"}))  # of one term
@pytest.mark.parametrize("strength", [0, 0.2, 0.5, 0.75, 1])
def test_the_ratio_of_style_to_content_is_geometric_in_strength(
    preset: str, strength: float
) -> None:
    before, after = weights(preset=preset), weights(preset=preset, strength=strength)
    change = after["style"] / after["content"] / (before["style"] / before["content"])
    assert change == pytest.approx(1000 ** (2 * strength - 1))
    # Half of it on each side, so that the geometric mean stays, and with it the balance to `tv`.
    assert after["style"] * after["content"] == pytest.approx(before["style"] * before["content"])
    assert after.get("tv") == before.get("tv")


@given(st.floats(0, 1), st.floats(0.01, 100), st.floats(0.01, 100))
def test_strength_multiplies_weights_that_are_given(
    strength: float, content: float, style: float
) -> None:
    found = weights(strength=strength, content_weight=content, style_weight=style)
    half = 1000 ** (strength - 0.5)
    assert found["style"] == pytest.approx(style * half)
    assert found["content"] == pytest.approx(content / half)


def test_the_middle_is_what_the_weights_say() -> None:
    assert weights(strength=0.5) == weights()


def test_other_terms_are_weighed_by_what_they_read() -> None:
    terms = [{"name": name} for name in ("strotss", "mrf", "laplacian", "tv")]
    found = weights({"terms": terms, "strength": 1.0})
    root = 1000**0.5
    expected = {"strotss": root, "mrf": root, "laplacian": 1 / root, "tv": 1}
    assert found == pytest.approx(expected)


def test_the_printed_job_has_the_strength_beside_the_weights_that_it_multiplies() -> None:
    plan = make_plan(build_job({"strength": 0.8}), REGISTRY)
    table = tomllib.loads(job_toml(plan.job))
    assert table["strength"] == 0.8
    assert {term["name"]: term["weight"] for term in table["terms"]} == weights()
    # So that a picture's job, with another strength, is that strength and not both together.
    assert weights(table, strength=0.3) == weights(strength=0.3)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), float("inf"), "much"])
def test_a_strength_that_is_none_is_wrong_usage(strength: object) -> None:
    with pytest.raises(UsageError, match="`strength`"):
        build_job({"strength": strength})


@pytest.mark.parametrize("left_out", ["content_weight", "style_weight"])
def test_strength_needs_terms_on_both_sides(left_out: str) -> None:
    with pytest.raises(UsageError, match="strength has no effect"):
        make_plan(build_job({left_out: 0, "strength": 0.7}), REGISTRY)
    plan = make_plan(build_job({left_out: 0}), REGISTRY)
    assert "strength" not in job_toml(plan.job)


def painted(folder: Path, common: int, **options: Any) -> Distances:
    """A picture's distances at the long side `common`."""
    stylectl.run(device="cpu", output=folder / "out.png", **options)
    return distances(folder / "out.png", PHOTO, PAINTING, common)


def test_more_strength_is_nearer_to_the_painting_and_farther_from_the_photograph(
    tmp_path: Path,
) -> None:
    # Above 0.5 so few steps do not come far enough to tell strengths apart.
    found = [
        painted(tmp_path, 64, size=64, iterations=15, strength=strength)
        for strength in (0, 0.25, 0.5)
    ]
    untouched = distances(PHOTO, PHOTO, PAINTING, 64)
    assert untouched.content == 0
    assert all(weak.style > strong.style for weak, strong in pairwise([untouched, *found]))
    assert all(weak.content < strong.content for weak, strong in pairwise([untouched, *found]))
    assert found[0].content < 0.15  # nearly the photograph
    assert found[0].style > 0.7 * untouched.style


def test_a_strength_looks_alike_at_two_sizes(tmp_path: Path) -> None:
    small, large = (
        painted(tmp_path, 128, size=size, iterations=10, strength=0.7) for size in (128, 192)
    )
    weaker = painted(tmp_path, 128, size=128, iterations=10, strength=0.2)
    assert abs(large.style - small.style) < 0.4 * abs(weaker.style - small.style)
    assert abs(large.content - small.content) < 0.4 * abs(weaker.content - small.content)
