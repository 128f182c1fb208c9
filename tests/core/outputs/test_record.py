from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import Field
from stylectl.core.errors import UsageError
from stylectl.core.interfaces.result import RECORD_FORMAT
from stylectl.core.job.building import build_job
from stylectl.core.job.model import Job
from stylectl.core.outputs import record as records
from stylectl.core.outputs.record import read_job_file, read_record, state_of
from stylectl.core.planning.plan import Plan
from stylectl.core.planning.planner import make_plan
from stylectl.plugins.manager import load_plugins

SMALL: dict[str, Any] = {"size": 32, "iterations": 1, "scales": 1, "device": "cpu"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plan_of(**options: Any) -> Plan:
    return make_plan(build_job({**SMALL, **options}), load_plugins().registry)


def state(**options: Any) -> str:
    plan = plan_of(**options)
    return state_of(Path("out.png"), plan, stylectl.run(plan.job).inputs)


def rewrite(change: Any) -> None:
    """The PNG with another record."""
    with Image.open("out.png") as image:
        record = change(json.loads(image.info["stylectl"]))
        text = PngInfo()
        text.add_text("stylectl", json.dumps(record))
        image.save("out.png", pnginfo=text)


def test_records_carry_their_format() -> None:
    stylectl.run(**SMALL, output=["out.png", "out.json"])
    for name in ("out.png", "out.json"):
        assert read_record(Path(name))["format"] == RECORD_FORMAT


def test_a_json_record_is_a_job_file() -> None:
    first = stylectl.run(**SMALL, output=["out.json", "out.png"], seed=3)
    again = stylectl.run("out.json")
    assert np.array_equal(first.image, again.image)
    assert read_job_file(Path("out.json")).table == read_job_file(Path("out.png")).table


@pytest.mark.parametrize("number", [0, RECORD_FORMAT + 1, "two", None, True, 2.5])
def test_a_record_of_an_unknown_format_is_refused(number: object) -> None:
    stylectl.run(**SMALL, output="out.png")
    rewrite(lambda record: {**record, "format": number})
    with pytest.raises(UsageError, match="written by a later version"):
        read_record(Path("out.png"))
    assert state() == "other"


def test_each_former_format_has_a_migration() -> None:
    assert sorted(records._MIGRATIONS) == list(range(1, RECORD_FORMAT))


def test_the_former_name_of_a_styles_size_is_read_without_a_warning() -> None:
    stylectl.run(**SMALL, style_size=2, output=["out.png", "out.json"])

    def older(record: dict[str, Any]) -> dict[str, Any]:
        record["job"]["styles"] = [{"image": "sample:painting", "scale": 2}]
        return record | {"format": 2}

    rewrite(older)
    assert read_record(Path("out.png"))["job"]["styles"] == [
        {"image": "sample:painting", "size": 2}
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert state(style_size=2) == "finished"
        assert stylectl.run("out.png").job.styles[0].size == 2
    assert state(style_size=1) == "other"


@pytest.mark.parametrize("styles", [None, 3, ["a.jpg"], [{"image": "a.jpg"}, 3]])
def test_a_former_record_with_other_styles_stays_as_it_is(styles: object) -> None:
    record = {"format": 2, "job": {"styles": styles}}
    Path("out.json").write_text(json.dumps(record))
    assert read_record(Path("out.json"))["job"] == {"styles": styles}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "finished"),
        ({"max_memory": "900GB"}, "finished"),
        ({"max_pixels": 10**8}, "finished"),
        ({"convolution": "direct", "cuda_graph": "off"}, "finished"),
        ({"device": "auto"}, "finished"),
        ({"seed": 1}, "other"),
        ({"strength": 0.6}, "other"),
        ({"pooling": "average"}, "other"),
        ({"optimizer.history": 5}, "other"),
        ({"tv.power": 1}, "other"),
        ({"backend": "onnx"}, "other"),
    ],
    ids=str,
)
def test_the_half_that_determines_the_result_decides(
    options: dict[str, Any], expected: str
) -> None:
    stylectl.run(**SMALL, output="out.png")
    assert state(**options) == expected


def test_an_option_that_the_record_does_not_know_had_its_default() -> None:
    """As if `strength`, an option of the optimizer and one of a term had come later."""
    stylectl.run(**SMALL, output="out.png")

    def older(record: dict[str, Any]) -> dict[str, Any]:
        del record["job"]["strength"]
        del record["job"]["optimizer"]["scaling"]
        del next(t for t in record["job"]["terms"] if t["name"] == "tv")["reduction"]
        return record

    rewrite(older)
    assert state() == "finished"
    assert state(strength=0.6) == "other"
    assert state(**{"optimizer.scaling": "scalar"}) == "other"


def test_a_new_field_with_a_default_leaves_results_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stylectl.run(**SMALL, output="out.png")
    plan = plan_of()

    class LaterJob(Job):
        grain: float = Field(default=0.0)

    monkeypatch.setattr("stylectl.core.planning.plan.Job", LaterJob)
    hashes = {"sample:photo": "", "sample:painting": ""}
    hashes = {name: read_record(Path("out.png"))["inputs"][name] for name in hashes}
    assert state_of(Path("out.png"), plan, hashes) == "finished"
