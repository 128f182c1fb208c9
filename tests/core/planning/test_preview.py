"""Previews: the job that they are, and how well they predict."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import stylectl
from hypothesis import given
from hypothesis import strategies as st
from stylectl.core.errors import UsageError
from stylectl.core.job.building import build_job
from stylectl.core.job.model import Job
from stylectl.core.job.presets import PRESETS
from stylectl.core.job.toml import job_toml
from stylectl.core.outputs.record import read_job_file
from stylectl.core.planning.job_files import make_job
from stylectl.core.planning.planner import make_plan
from stylectl.core.planning.preview import LONG_SIDE, MOST_WORK
from stylectl.core.sizes.pyramid import plan_scales
from stylectl.plugins.manager import load_plugins

REGISTRY = load_plugins().registry
CHANGED = {"size", "scales", "iterations"}


def planned(preset: str | None = None, file: Any = None, **options: Any) -> Job:
    return make_plan(build_job(options, file, preset), REGISTRY).job


def test_a_preview_keeps_everything_but_what_makes_it_small() -> None:
    options: dict[str, Any] = {"size": 1024, "strength": 0.7, "seed": 3, "term": [{"name": "mrf"}]}
    whole, preview = planned(**options), planned(**options, preview=True)
    assert preview.size == LONG_SIDE
    assert preview.iterations < whole.iterations
    changed = {name for name in Job.model_fields if getattr(whole, name) != getattr(preview, name)}
    assert changed <= CHANGED


def test_a_job_file_may_ask_for_a_preview_and_the_printed_job_is_the_small_one() -> None:
    preview = planned(file={"preview": True, "size": 700})
    table = tomllib.loads(job_toml(preview))
    assert (table["size"], table["preview"]) == (LONG_SIDE, False)
    assert planned(file=table) == preview
    assert planned(size=700, preview=True) == preview


@given(
    st.integers(LONG_SIDE + 1, 8000),
    st.one_of(st.integers(1, 20), st.just("auto")),
    st.integers(1, 5000),
)
def test_a_preview_takes_no_more_steps_than_its_job_nor_more_work_than_allowed(
    size: int, scales: Any, iterations: int
) -> None:
    job = build_job({"size": size, "scales": scales, "iterations": iterations, "preview": True})
    preview = make_plan(job, REGISTRY).job
    assert 1 <= preview.iterations <= iterations
    made = plan_scales((LONG_SIDE, LONG_SIDE), preview.scales, preview.iterations, 1)
    # The number of steps is rounded, and so is each scale's share of it: by one at most.
    room = LONG_SIDE**2 * (1 + len(made))
    assert sum(scale.pixels * scale.steps for scale in made) <= MOST_WORK + room


@pytest.mark.parametrize(("size", "scales", "kept"), [(512, 5, 3), (1024, 7, 3), (1024, 3, 1)])
def test_a_preview_of_a_counted_schedule_begins_where_the_job_does(
    size: int, scales: int, kept: int
) -> None:
    assert planned(size=size, scales=scales, preview=True).scales == kept


def test_plain_sums_are_weighed_as_at_the_jobs_size() -> None:
    # The papers' content loss is a sum over positions, of which a preview has a quarter.
    whole, preview = planned("paper"), planned("paper", preview=True)
    weights = [{term.name: term.weight for term in job.terms} for job in (whole, preview)]
    assert weights[1] == {"content": 4 * weights[0]["content"], "style": weights[0]["style"]}
    summed: dict[str, Any] = {
        "term": [{"name": "tv", "weight": 3.0, "reduction": "sum"}],
        "size": 1024,
    }
    assert planned(**summed, preview=True).terms[-1].weight == 3 * 16


@pytest.mark.parametrize("size", [64, LONG_SIDE])
def test_a_job_that_is_small_has_no_preview(size: int) -> None:
    with pytest.raises(UsageError, match="preview has no effect"):
        planned(size=size, preview=True)


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "draft"])
def test_every_preset_of_full_size_has_a_preview(preset: str) -> None:
    assert planned(preset, preview=True).size == LONG_SIDE


def test_a_preview_is_small_and_has_the_scales_that_the_picture_begins_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = stylectl.run(
        size=512, iterations=3, preview=True, device="cpu", output=tmp_path / "out.png"
    )
    assert max(result.image.shape) == LONG_SIDE
    whole = plan_scales((342, 512), "auto", 300, 16)
    assert [scale.size for scale in result.scales] == [scale.size for scale in whole][:3]
    again = make_plan(make_job({}, REGISTRY, read_job_file(tmp_path / "out.png")), REGISTRY).job
    assert again == result.job
