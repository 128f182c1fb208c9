from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from stylectl.backends.onnxruntime.providers.known import KNOWN
from stylectl.backends.onnxruntime.providers.packages import installed_modules

Listed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def listed(program: Listed, tmp_path: Path) -> Listed:
    return lambda *arguments: program("list", *arguments, folder=tmp_path)


def test_everything_is_listed_with_its_origin(listed: Listed) -> None:
    found = json.loads(listed("--json").stdout)
    assert set(found) == {
        "plugins",
        "backends",
        "backbones",
        "terms",
        "writers",
        "optimizers",
        "initializers",
        "parametrizations",
        "presets",
        "flows",
    }
    for kind, name in (
        ("plugins", "stylectl.vgg19"),
        ("backends", "torch"),
        ("backbones", "vgg19"),
        ("terms", "style"),
        ("writers", "png"),
        ("optimizers", "lbfgs"),
        ("initializers", "content+noise"),
        ("parametrizations", "laplacian"),
        ("presets", "balanced"),
        ("flows", "dis"),
    ):
        (row,) = [row for row in found[kind] if row["name"] == name]
        assert "built-in" in row["from"]


def test_devices_are_listed_with_reasons_why_some_are_not_usable(
    program: Listed, tmp_path: Path
) -> None:
    (tmp_path / "onnxruntime_ep_broken.py").write_text("raise RuntimeError('on purpose')")
    done = program("list", "devices", "--json", folder=tmp_path)
    tables = json.loads(done.stdout)
    usable = {(row["backend"], row["device"]): row for row in tables["devices"]}
    for backend in ("torch", "onnx"):
        row = usable[backend, "cpu"]
        assert row["hardware"]
        assert "float32" in row["precisions"]
    reasons = {row["device"]: row["because"] for row in tables["not usable here"]}
    assert "RuntimeError: on purpose" in reasons["onnxruntime_ep_broken"]
    for known in KNOWN.values():
        if known.module and known.module not in installed_modules():
            assert "not installed: pip install" in reasons[known.name]


def test_packages_of_providers_are_imported_for_devices_alone(
    program: Listed, tmp_path: Path
) -> None:
    (tmp_path / "onnxruntime_ep_noted.py").write_text("open('imported', 'w')")
    for words in (["list", "--help"], ["list", "backends"], ["list", "devices"]):
        assert not (tmp_path / "imported").exists()
        program(*words, folder=tmp_path)
    assert (tmp_path / "imported").exists()


def test_options_have_defaults_values_and_descriptions(listed: Listed) -> None:
    (tv,) = [
        row for row in json.loads(listed("terms", "--json").stdout)["terms"] if row["name"] == "tv"
    ]
    (power,) = [option for option in tv["options"] if option["name"] == "power"]
    assert power["default"] == 2
    assert power["values"] == "1 | 2"
    assert "edges" in power["description"]


def test_the_layers_of_a_backbone_are_listed(listed: Listed) -> None:
    layers = json.loads(listed("backbones", "--layers", "vgg19", "--json").stdout)["layers"]
    assert [row["name"] for row in layers[:3]] == ["relu1_1", "relu1_2", "relu2_1"]
    (content,) = [row for row in layers if row["default for"] == "content 1"]
    assert content == {
        "name": "relu4_2",
        "channels": 512,
        "stride": 8,
        # 3 pixels, and 2 more strides for each convolution, 1 for each pooling.
        "receptive field": 1 + 4 * 1 + 1 + 4 * 2 + 2 + 8 * 4 + 4 + 4 * 8,
        "default for": "content 1",
    }


def test_the_layers_of_an_onnx_file_are_listed_and_why_other_values_are_none(
    listed: Listed, tmp_path: Path
) -> None:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "kernel"], ["conv"], pads=[1, 1, 1, 1]),
        node("Resize", ["conv", "", "scales"], ["larger"], mode="linear"),
        node("ReverseSequence", ["larger", "lengths"], ["reversed"], batch_axis=0, time_axis=1),
        node("Relu", ["reversed"], ["relu"]),
        node("GlobalAveragePool", ["relu"], ["mean"]),
        node("Flatten", ["mean"], ["flat"]),
    ]
    constants = {
        "kernel": np.ones((4, 3, 3, 3), np.float32),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "lengths": np.array([4]),
    }
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])
    output = helper.make_tensor_value_info("flat", TensorProto.FLOAT, ["n", 4])
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "network", [image], [output], tensors)
    path = tmp_path / "network.onnx"
    imports = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
    tables = json.loads(listed("backbones", "--layers", f"onnx:{path}", "--json").stdout)
    assert [(row["name"], row["stride"], row["receptive field"]) for row in tables["layers"]] == [
        ("conv", 1, 3),
        ("larger", 0.5, None),
    ]
    reasons = {row["name"]: row["because"] for row in tables["not usable as layers"]}
    assert reasons.keys() == {"reversed", "relu", "mean", "flat"}
    assert "no gradient of ReverseSequence" in reasons["relu"]
    assert "does not grow" in reasons["mean"]
    assert "2-dimensional" in reasons["flat"]
    text = listed("backbones", "--layers", f"onnx:{path}").stdout
    assert "the whole image" in text


def test_a_plugin_that_is_switched_off_is_listed_as_skipped(listed: Listed) -> None:
    found = json.loads(listed("--no-plugin", "total_variation", "--json").stdout)
    (record,) = [row for row in found["plugins"] if row["name"] == "stylectl.total_variation"]
    assert record["state"] == "skipped: switched off"
    assert "tv" not in [row["name"] for row in found["terms"]]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nothing"], "nothing"),
        (["terms", "--layers", "vgg19"], "list backbones"),
        (["backbones", "--layers", "vgg91"], "vgg19"),
    ],
)
def test_a_mistake_is_one_line(listed: Listed, arguments: list[str], word: str) -> None:
    done = listed(*arguments)
    assert done.returncode == 2
    assert word in done.stderr
    assert done.stderr.count("\n") == 1
