"""A job as a Python user makes one, and faults that such users met."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import stylectl
from stylectl.core.deprecation import StylectlDeprecationWarning
from stylectl.core.errors import UsageError
from stylectl.core.job.building import build_job
from stylectl.core.job.model import Job
from stylectl.core.planning.planner import make_plan
from stylectl.core.planning.registry import Registry
from stylectl.plugins.manager import load_plugins


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins().registry


def test_a_job_is_made_from_a_preset() -> None:
    job = stylectl.Job.from_preset("paper", content="a.jpg", styles=["b.jpg"], size=64)
    assert (job.content, job.styles[0].image, job.size) == ("a.jpg", "b.jpg", 64)
    assert job.iterations == 500
    assert Job.from_preset().iterations == 300
    with pytest.raises(UsageError, match="unknown preset 'papers'; did you mean paper"):
        Job.from_preset("papers")


def test_a_job_is_replaced_and_validated(registry: Registry) -> None:
    job = make_plan(Job.from_preset(seed=7), registry).job
    larger = job.replace(size=1024, style_weight=3)
    assert (larger.size, larger.seed, job.size) == (1024, 7, 512)
    assert {term.name: term.weight for term in larger.terms}["style"] == 3
    assert larger.replace(strength=0.7).seed == 7
    with pytest.raises(UsageError, match="`size` should be"):
        job.replace(size=0)


def test_paths_are_taken() -> None:
    job = build_job({"content": Path("a.jpg"), "styles": [Path("b.jpg")], "init": Path("c.png")})
    assert (job.content, job.styles[0].image, job.start_path) == ("a.jpg", "b.jpg", "c.png")
    assert build_job({"styles": Path("b.jpg")}).styles[0].image == "b.jpg"
    assert build_job({"style_mask": [Path("m.png")]}).styles[0].mask == "m.png"
    assert build_job({}, {"styles": [Path("b.jpg")]}).styles[0].image == "b.jpg"
    assert Job.model_validate({**job.as_table(), "content": Path("d.jpg")}).content == "d.jpg"


def test_one_term_may_stand_for_a_list() -> None:
    for term in ("strotss", {"name": "strotss", "weight": 2}):
        assert build_job({"term": term}).terms[-1].name == "strotss"


def test_regions_that_are_one_text_are_refused() -> None:
    with pytest.raises(UsageError, match="`regions` needs the content's map and one for each"):
        build_job({"regions": "a.png"})


@pytest.mark.parametrize(
    "options",
    [
        {"backbone": {"name": "vgg19", "pooling": "average"}},
        {"init": {"name": "noise", "noise": 0.2}},
        {"optimizer": {"name": "adam", "step_size": 0.1}},
        {"backend": {"name": "onnx", "gradient": "torch"}},
    ],
)
def test_choices_may_be_tables(registry: Registry, options: dict[str, dict[str, Any]]) -> None:
    job = make_plan(build_job(options), registry).job
    ((key, table),) = options.items()
    choice = getattr(job, key)
    assert choice.name == table["name"]
    assert table.items() <= {"name": choice.name, **choice.options}.items()


@pytest.mark.parametrize("value", [3, ["vgg19"]])
def test_choices_of_another_type_are_wrong_usage(value: object) -> None:
    for key in ("backbone", "init", "optimizer", "backend"):
        with pytest.raises(UsageError, match=key):
            build_job({key: value})


def test_a_start_in_a_job_file_may_be_an_image() -> None:
    job = build_job({}, {"init": "photo.jpg"})
    assert (job.init.name, job.start_path) == ("file", "photo.jpg")
    assert build_job({}, {"init": "noise"}).init.name == "noise"


def test_another_backend_keeps_the_device() -> None:
    file = {"backend": {"name": "torch", "device": "cpu", "cuda_graph": "off"}}
    backend = build_job({"backend": "onnx"}, file).backend
    assert (backend.name, backend.options) == ("onnx", {"device": "cpu"})


def test_an_option_of_a_term_that_is_not_there_adds_none() -> None:
    with pytest.raises(UsageError, match=r"`strotss\.samples` has no effect.*`term=strotss`"):
        build_job({"strotss.samples": 100})
    terms = build_job({"term": "strotss", "strotss.samples": 100}).terms
    assert terms[-1].options == {"samples": 100}


def test_the_former_name_of_the_style_size_warns() -> None:
    with pytest.warns(StylectlDeprecationWarning, match="`style_scale` is deprecated .* 0.3"):
        assert build_job({"style_scale": 0.5}).styles[0].size == 0.5
    with pytest.raises(UsageError, match="`style_scale` is the former name of `style_size`"):
        build_job({"style_scale": 0.5, "style_size": 0.5})
    assert build_job({"style_scale": None, "style_size": 0.5}).styles[0].size == 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda style: build_job({"styles": [style]}),
        lambda style: build_job({}, {"styles": [style]}),
        lambda style: Job.model_validate({**Job.from_preset().as_table(), "styles": [style]}),
    ],
)
def test_the_former_key_of_a_styles_size_warns(make: Any) -> None:
    with pytest.warns(StylectlDeprecationWarning, match="the key scale of a style is deprecated"):
        style = make({"image": "a.jpg", "scale": 0.5}).styles[0]
    with pytest.warns(StylectlDeprecationWarning, match="the attribute scale"):
        assert style.scale == style.size == 0.5
    with pytest.raises(UsageError, match="both size and scale"):
        make({"image": "a.jpg", "scale": 0.5, "size": 0.5})


def test_the_style_size_overrides_the_former_key_of_a_file() -> None:
    with pytest.warns(StylectlDeprecationWarning):
        job = build_job({"style_size": 2}, {"styles": [{"image": "a.jpg", "scale": 0.5}]})
    assert job.styles[0].size == 2


@pytest.mark.parametrize("preset", [{}, "", 0])
def test_a_preset_that_is_none_is_refused(preset: object) -> None:
    with pytest.raises(UsageError, match="unknown preset"):
        build_job({}, {"preset": preset})


@pytest.mark.parametrize("option", ["content", "content_mask"])
def test_an_empty_path_is_refused(option: str) -> None:
    with pytest.raises(UsageError, match=f"`{option}` should name a file"):
        build_job({option: ""})


@pytest.mark.parametrize(
    "options",
    [
        {"init": "content"},  # the seed has no effect
        {"content_weight": 0},  # the strength has none
        {"normalize_gradients": True},  # the line search has none
    ],
)
def test_defaults_that_a_file_spells_out_are_nobodys_wish(
    registry: Registry, options: dict[str, Any]
) -> None:
    spelled_out = make_plan(build_job({}), registry).job.as_table()
    plan = make_plan(build_job(options, spelled_out), registry)
    assert make_plan(build_job({}, plan.job.as_table()), registry).job == plan.job


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ({}, {"init": "content", "seed": 0}),
        ({"seed": 0, "init": "content"}, {}),
        ({"seed": 7}, {"init": "content"}),
        ({"strength": 0.7}, {"content_weight": 0}),
    ],
)
def test_what_somebody_asked_for_is_not_dropped(
    registry: Registry, file: dict[str, Any], options: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match="has no effect"):
        make_plan(build_job(options, file), registry)
