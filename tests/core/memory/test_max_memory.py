"""Runs within a limit of memory: cut into tiles where they must be, and nowhere else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
from stylectl import Event, Notice, Result, RunStarted
from stylectl.core.errors import MemoryLimitError, UsageError
from stylectl.core.interfaces.statistics import StatisticsTerm
from stylectl.core.interfaces.terms import Loss, References
from stylectl.core.job.building import build_job
from stylectl.core.job.options.text import bytes_of
from stylectl.core.machine.host_memory import FreeMemory
from stylectl.core.memory import limits as memory
from stylectl.core.planning.planner import make_plan
from stylectl.core.run.preparation import prepare
from stylectl.core.run.runner import run
from stylectl.core.run.session import Session
from stylectl.plugins.losses.style import StyleLoss
from stylectl.plugins.manager import load_plugins
from stylectl.tools.parity.report import Quantity
from stylectl.tools.parity.tolerances import TOLERANCES

SMALL: dict[str, Any] = {
    "size": 96,
    "scales": 2,
    "iterations": 4,
    "device": "cpu",
    "optimizer": "adam",
    "content_layers": ["relu2_1"],
    "style_layers": ["relu1_1", "relu2_1"],
}
#: Half of what this picture takes.
LIMIT = "6MB"


@pytest.fixture(autouse=True)
def _own_folder_and_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program itself counts as nothing here: it takes more than these pictures, and not always
    the same."""
    monkeypatch.setattr(memory, "_held_memory", lambda device: 0)
    monkeypatch.chdir(tmp_path)


def paint(**options: Any) -> Result:
    return stylectl.run(**{**SMALL, **options})


def count(result: Result) -> int:
    """Of the tiles."""
    return int(result.details["tiles"].split()[0])


# The picture


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"backend": "onnx"},
        {"optimizer": "lbfgs"},
        {"color": "luminance"},
        {"texture": ["sample:painting"], "size": (96, 71), "content_layers": None},
    ],
    ids=["torch", "onnx", "lbfgs", "luminance", "texture"],
)
def test_a_picture_in_tiles_is_the_same(options: dict[str, Any]) -> None:
    whole, tiled = paint(**options), paint(**options, max_memory=LIMIT)
    assert "tiles" not in whole.details
    assert count(tiled) > 1
    for ours, theirs in zip(tiled.steps, whole.steps, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-3)
    # What two backends may be apart after two steps; these differ by rounding alone.
    most = TOLERANCES["float32"][Quantity.PICTURE].limit
    assert np.abs(tiled.image - whole.image).max() < most
    assert np.abs(tiled.image - whole.image).mean() < most / 100


def test_what_fits_is_not_cut_and_the_same_to_the_bit() -> None:
    free, limited = paint(), paint(max_memory="100GB")
    assert "tiles" not in limited.details
    assert np.array_equal(free.image, limited.image)
    assert [step.losses for step in free.steps] == [step.losses for step in limited.steps]


def test_less_memory_takes_more_tiles() -> None:
    counts = [count(paint(max_memory=limit, iterations=1)) for limit in ("8MB", "6MB")]
    assert counts == sorted(set(counts))


def test_what_is_free_is_the_limit_if_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: FreeMemory(bytes_of(LIMIT)))
    result = paint(iterations=1)
    assert result.details["tiles"] == paint(iterations=1, max_memory="50GB").details["tiles"]
    assert result.job.max_memory is None


def test_the_tiles_are_told() -> None:
    heard: list[Event] = []
    result = paint(max_memory=LIMIT, iterations=1, on_event=heard.append)
    tiles = result.details["tiles"]
    assert re.fullmatch(r"\d+ of up to \d+x\d+ px", tiles)
    (notice,) = [event.message for event in heard if isinstance(event, Notice)]
    assert tiles in notice
    (started,) = [event for event in heard if isinstance(event, RunStarted)]
    assert started.details["tiles"] == tiles


def test_a_picture_after_another_is_as_it_is_alone() -> None:
    plan = make_plan(build_job({**SMALL, "max_memory": LIMIT}), load_plugins().registry)
    whole = replace(plan, job=plan.job.model_copy(update={"max_memory": None}))
    prepared = prepare(plan)
    with Session() as session:
        session.expect(prepared.inputs.hashes.values(), lambda _: True)
        first = run(prepared, session=session)
        second = run(prepared, session=session)
        third = run(prepare(whole), session=session)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(third.image, paint().image)


# The style images


def styles_tiles(**options: Any) -> tuple[int, int]:
    """Rows and columns of the style image's tiles at the finest scale."""
    plan = make_plan(build_job({**SMALL, **options}), load_plugins().registry)
    prepared = prepare(plan)
    with Session() as session:
        run = session.open(prepared)
        assert run.tilers[-1].result.most is None
        return run.tilers[-1].styles.counts(*prepared.scales[-1].styles[0])


#: Enough for the result, but not for a style image of 16 times as many pixels.
STYLE_LIMIT = "20MB"


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_a_large_style_image_is_cut_though_the_result_is_not(backend: str) -> None:
    options = {"style_size": 4, "backend": backend, "iterations": 2}
    assert styles_tiles(**options) == (1, 1)
    assert styles_tiles(**options, max_memory=STYLE_LIMIT) != (1, 1)
    whole, tiled = paint(**options), paint(**options, max_memory=STYLE_LIMIT)
    assert "tiles" not in tiled.details
    for ours, theirs in zip(tiled.steps, whole.steps, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-3)


def test_a_style_image_that_fits_in_no_tiles_names_a_scale_that_would_fit() -> None:
    with pytest.raises(MemoryLimitError, match=r"style image at .* smallest tiles") as caught:
        paint(style_size=8, max_memory="14MB", scales=1)
    (named,) = re.findall(r"`style_size=([\d.]+)`", str(caught.value))
    assert paint(style_size=float(named), max_memory="14MB", scales=1, iterations=1)


@pytest.mark.parametrize(
    ("word", "options"),
    {
        "mrf": {"term": [{"name": "mrf", "layers": {"relu3_1": 1}}]},
        "`seamless`": {"seamless": True},
        "`padding`": {"padding": "circular"},
    }.items(),
)
def test_a_style_image_that_cannot_be_cut_is_said(word: str, options: dict[str, Any]) -> None:
    with pytest.raises(MemoryLimitError, match="cannot be computed in tiles") as caught:
        paint(**options, style_size=6, max_memory="25MB", scales=1)
    assert word in str(caught.value)


def test_normalized_gradients_are_no_hindrance_to_cutting_styles() -> None:
    assert styles_tiles(style_size=4, max_memory=STYLE_LIMIT, normalize_gradients=True) != (1, 1)


# Huge results


@pytest.mark.parametrize("free", [10**11, 10**15])
def test_the_tiles_of_a_huge_texture_are_arithmetic(
    free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tiles, hundreds of millions of them where little is free, are not listed."""
    monkeypatch.setattr(memory, "free_memory", lambda device: FreeMemory(free))
    job = build_job(
        {
            "content": None,
            "texture": ["sample:painting"],
            "size": (65536, 65536),
            "style_layers": ["relu1_1"],
            "device": "cpu",
        }
    )
    prepared = prepare(make_plan(job, load_plugins().registry))
    with Session() as session:
        if free == 10**15:
            assert "tiles" not in session.open(prepared).details
            monkeypatch.setattr(memory, "free_memory", lambda device: FreeMemory(2 * 10**12))
            assert int(session.open(prepared).details["tiles"].split()[0]) > 1
        else:
            with pytest.raises(MemoryLimitError, match="65536x65536 px take about"):
                session.open(prepared)


# What cannot be


REFUSED = {
    "mrf": {"term": [{"name": "mrf"}]},
    "strotss": {"term": [{"name": "strotss"}]},
    "sliced-wasserstein": {"term": [{"name": "sliced-wasserstein"}]},
    "histogram": {"term": [{"name": "histogram"}]},
    "`normalize_gradients`": {"normalize_gradients": True},
    "`seamless`": {"seamless": True},
    "`padding`": {"padding": "circular"},
}


@pytest.mark.parametrize(("word", "options"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_cut_is_said_before_the_run(word: str, options: dict[str, Any]) -> None:
    heard: list[Event] = []
    with pytest.raises(MemoryLimitError) as caught:
        paint(**options, max_memory="1.5MB", on_event=heard.append)
    message = str(caught.value)
    assert word in message
    assert "in tiles" in message
    assert not any(isinstance(event, RunStarted) for event in heard)
    (named,) = re.findall(r"`size=(\d+)` would fit", message)
    assert 16 <= int(named) < 96


def test_pixel_terms_are_no_hindrance() -> None:
    options = {"term": [{"name": "laplacian"}], "max_memory": LIMIT, "iterations": 2}
    tiled, whole = paint(**options), paint(**{**options, "max_memory": None})
    assert count(tiled) > 1
    for name, loss in whole.final_losses.items():
        assert tiled.final_losses[name] == pytest.approx(loss, rel=1e-3)


def test_too_little_for_the_smallest_tile_names_what_would_fit() -> None:
    with pytest.raises(MemoryLimitError, match="even in the smallest tiles") as caught:
        paint(size=400, max_memory="40MB", scales=1, iterations=40, optimizer="lbfgs")
    message = str(caught.value)
    assert "`optimizer=adam`" in message
    (named,) = re.findall(r"`size=(\d+)`", message)
    # Small pictures' smallest tiles are a little larger than they.
    assert count(paint(size=int(named), max_memory="40MB", scales=1, iterations=1)) > 1


def test_a_limit_below_the_program_itself_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_held_memory", lambda device: 10**9)
    with pytest.raises(MemoryLimitError, match=r"holds 1\.0 GB .*max_memory=500MB"):
        paint(max_memory="500MB")


# The option


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4 * 10**9),
        ("4gb", 4 * 10**9),
        ("1.5 GiB", 3 * 2**29),
        ("800MB", 8 * 10**8),
        ("64KiB", 2**16),
        ("2 TB", 2 * 10**12),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["4", "GB", "-1GB", "0GB", "4 G", "much", "", "4GB more"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"`max_memory` should be a size such as 4GB"):
        build_job({"max_memory": text})


def test_the_job_carries_it() -> None:
    plan = make_plan(build_job({"max_memory": "4GB"}), load_plugins().registry)
    assert plan.job.as_table()["max_memory"] == "4GB"
    without = make_plan(build_job({}), load_plugins().registry)
    assert "max_memory" not in without.job.as_table()


def test_a_term_of_sums_that_binds_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(self: StyleLoss, references: References) -> Loss:
        return StatisticsTerm.bind(self, references)

    monkeypatch.setattr(StyleLoss, "bind", bind, raising=False)
    with pytest.raises(MemoryLimitError, match="style cannot be computed in tiles"):
        paint(max_memory=LIMIT)
