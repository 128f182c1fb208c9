from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from stylectl import PRESETS, Job, UsageError
from stylectl.core.job.building import build_job
from stylectl.core.job.presets import Preset


def test_the_built_in_presets_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PRESETS["mine"] = {}  # type: ignore[index]
    PRESETS["paper"]["terms"].clear()
    PRESETS["paper"]["backbone"]["pooling"] = "max"
    assert len(PRESETS["paper"]["terms"]) == 2
    assert Job.from_preset("paper").backbone.options["pooling"] == "average"


def test_the_built_in_presets_are_plain_tables() -> None:
    for name in PRESETS:
        assert json.loads(json.dumps(PRESETS[name])) == PRESETS[name]
        assert copy.deepcopy(PRESETS[name]) == PRESETS[name]


def test_a_job_takes_the_presets_that_it_is_given() -> None:
    mine = Preset(table=PRESETS["balanced"] | {"size": 99})

    def find(name: str) -> Preset:
        assert name == "mine"
        return mine

    assert build_job({}, preset="mine", find_preset=find).size == 99
    assert build_job({}, {"preset": "mine"}, find_preset=find).size == 99


@pytest.mark.parametrize("changed", [None, {"init": "noise", "terms": ["style", "mrf"]}])
def test_a_texture_has_the_presets_values_for_textures(changed: dict[str, Any] | None) -> None:
    preset = Preset(table=PRESETS["balanced"] | {"seed": 3}, texture=changed)
    job = build_job({"texture": "a.jpg"}, preset="x", find_preset=lambda _: preset)
    assert (job.seed, job.content) == (3, None)
    if changed is None:
        assert job.init.name == "style"
        assert [term.name for term in job.terms] == ["style"]  # `tv` with `flat` needs the content
    else:
        assert job.init.name == "noise"
        assert [term.name for term in job.terms] == ["style", "mrf"]


def test_a_job_does_not_change_its_preset() -> None:
    preset = Preset(table=PRESETS["balanced"])
    before = copy.deepcopy(dict(preset.table))
    build_job({"style_weight": 9, "size": 5}, preset="x", find_preset=lambda _: preset)
    assert preset.table == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sise": 3}, ["sise", "size"]),
        ({"size": -1}, ["size"]),
        ({"content": "a.jpg"}, ["content belongs to a job"]),
        ({"preset": "draft"}, ["preset belongs to a job"]),
        ({"terms": 3}, ["terms should be a list"]),
        ({"terms": []}, ["terms"]),
        ({"scales": None}, ["scales"]),
    ],
)
def test_a_preset_is_checked(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        Preset(table=PRESETS["balanced"] | change).check()
    for word in words:
        assert word in str(caught.value)


def test_a_presets_values_for_textures_are_checked() -> None:
    with pytest.raises(UsageError, match="color"):
        Preset(table=PRESETS["balanced"], texture={"color": "luminance"}).check()


@pytest.mark.parametrize("key", ["scales", "iterations", "init", "optimizer", "terms"])
def test_a_preset_has_what_a_job_has_no_default_for(key: str) -> None:
    table = PRESETS["balanced"]
    del table[key]
    with pytest.raises(UsageError, match=f"{key} is missing"):
        Preset(table=table).check()
