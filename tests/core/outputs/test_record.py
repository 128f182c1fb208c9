from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import stylectl
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import Field
from stylectl.core.errors import UsageError
from stylectl.core.interfaces.events import Event, Notice
from stylectl.core.interfaces.result import RECORD_FORMAT
from stylectl.core.job.building import build_job
from stylectl.core.job.model import Job
from stylectl.core.outputs import record as records
from stylectl.core.outputs.record import read_job_file, read_record, state_of
from stylectl.core.planning.plan import Plan
from stylectl.core.planning.planner import make_plan
from stylectl.plugins.backbones.vgg19 import VGG19
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


def test_a_job_says_which_of_its_files_are_others() -> None:
    """An image, one of a style's folder, and a file of weights beside a network."""
    random = np.random.default_rng(3)
    Path("styles").mkdir()
    for name in ("photo.png", "styles/one.png", "styles/two.png"):
        pixels = random.integers(0, 256, (32, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(name)
    stylectl.run(**SMALL, content="photo.png", styles=["styles"], output="out.png")
    notices: list[str] = []

    def listen(event: Event) -> None:
        notices.extend([event.message] if isinstance(event, Notice) else [])

    stylectl.run("out.png", on_event=listen)
    assert not [text for text in notices if "SHA-256" in text]
    for name in ("photo.png", "styles/two.png"):
        Image.open(name).rotate(180).save(name)
    stylectl.run("out.png", on_event=listen)
    assert [text for text in notices if "SHA-256" in text] == [
        f"{name}: not the file that out.png was made from; its SHA-256 is another"
        for name in ("photo.png", "styles/two.png")
    ]
    notices.clear()
    stylectl.run("out.png", content="styles/one.png", styles=["styles/one.png"], on_event=listen)
    assert not [text for text in notices if "SHA-256" in text]  # others were asked for


@pytest.mark.parametrize("inputs", [None, [], {"photo.png": 3}, {"\0": "a", "a" * 9999: "b"}])
def test_a_record_with_other_hashes_than_that_of_a_file_is_read(inputs: object) -> None:
    job = {**Job.from_preset("draft", **SMALL).as_table()}
    Path("job.json").write_text(json.dumps({"format": RECORD_FORMAT, "job": job, "inputs": inputs}))
    assert stylectl.run("job.json").image.shape[1] == 32


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


def test_other_published_weights_make_another_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download cannot be made here: the embedded weights stand for two versions of one."""
    address = "https://example.org/weights.pth"
    monkeypatch.setattr(VGG19, "published", {address: "0123abcd"})
    Path("results").mkdir()
    stylectl.run(**SMALL, output=["out.png", "results/out.png"])
    assert read_record(Path("results/out.png"))["inputs"][address] == "0123abcd"
    assert state() == "finished"
    assert stylectl.run("results/out.png").inputs[address] == "0123abcd"
    monkeypatch.setattr(VGG19, "published", {address: "4567ef01"})
    assert state() == "other"


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


@pytest.mark.subprocess  # a file is inspected in a process of its own
def test_a_replaced_file_of_weights_beside_an_onnx_file_makes_another_result() -> None:
    def network(folder: str, seed: int) -> None:
        weight = np.random.default_rng(seed).standard_normal((4, 3, 3, 3)).astype(np.float32)
        nodes = [
            helper.make_node("Conv", ["image", "weight"], ["conv"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["conv"], ["relu"]),
        ]
        image, relu = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 64, 64])
            for name, channels in (("image", 3), ("relu", 4))
        )
        weights = [numpy_helper.from_array(weight, "weight")]
        graph = helper.make_graph(nodes, "network", [image], [relu], weights)
        opset = [helper.make_opsetid("", 18)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        Path(folder).mkdir(exist_ok=True)
        Path(folder, "w.bin").unlink(missing_ok=True)  # onnx would append to it
        onnx.save(
            model,
            f"{folder}/net.onnx",
            save_as_external_data=True,
            location="w.bin",
            size_threshold=0,
        )

    options: dict[str, Any] = {
        "backbone": "onnx:nets/net.onnx",
        "backbone.preprocessing": "none",
        "backend": "onnx",
        "content_layers": ["relu"],
        "style_layers": ["relu"],
    }
    network("nets", 0)
    model = Path("nets/net.onnx").read_bytes()
    stylectl.run(**SMALL, **options, output="out.png")
    assert read_record(Path("out.png"))["inputs"].keys() > {"nets/net.onnx", "nets/w.bin"}
    assert state(**options) == "finished"
    network("nets", 1)
    assert Path("nets/net.onnx").read_bytes() == model
    assert state(**options) == "other"
