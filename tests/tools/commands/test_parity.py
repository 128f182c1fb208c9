from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

Program = Callable[..., subprocess.CompletedProcess[str]]

#: A tiny network, and a backend that runs it, rightly or with something wrong, as its options say.
PLUGIN = """
import torch
from stylectl import BackboneSpec, BackendSpec, BackendOptions, hookimpl
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.testing import KinkedBackbone

class Options(BackendOptions):
    wrong: str = "nothing"
    factor: float = 1.0

class Backend(TorchBackend):
    def __init__(self, arguments):
        super().__init__(arguments.backbone, arguments.layers, BackendOptions(device="cpu"))
        self.wrong, self.factor = arguments.options.wrong, arguments.options.factor

    def features(self, image, layers=None):
        found = dict(super().features(image, layers))
        if self.wrong == "crash":
            raise ValueError("no engine")
        if self.wrong == "noise":
            found = {name: value * (1 + 3e-4 * torch.randn_like(value))
                     for name, value in found.items()}
        if self.wrong == "not-a-number":
            found = {name: value * float("nan") for name, value in found.items()}
        if self.wrong == "cropped":
            found = {name: value[:, :, 1:] for name, value in found.items()}
        return found

    def vjp(self, image):
        features, pullback = super().vjp(image)
        return features, lambda cotangents: self.factor * pullback(cotangents)

@hookimpl
def stylectl_backends():
    yield BackendSpec(name="mine", summary="", create=Backend, options=Options)

@hookimpl
def stylectl_backbones():
    yield BackboneSpec(name="kinked", summary="", create=lambda arguments: KinkedBackbone())
"""


@pytest.fixture
def parity(
    tmp_path: Path, environment: dict[str, str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`stylectl parity` on the tiny network, with the plugin installed."""
    info = tmp_path / "stylectl_mine-1.2.dist-info"
    info.mkdir()
    (tmp_path / "plugin_mine.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stylectl-mine\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[stylectl]\nmine = plugin_mine\n")
    paths = [str(tmp_path), environment.get("PYTHONPATH", "")]
    env = environment | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "STYLECTL_PLUGINS": "mine",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stylectl", "parity", "--backbone", "kinked", *arguments]
        return subprocess.run(
            command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300
        )

    return run


Parity = Callable[..., subprocess.CompletedProcess[str]]


def test_torch_is_within_tolerance_on_vgg19(program: Program, tmp_path: Path) -> None:
    done = program("parity", "--backend", "torch", "--device", "cpu", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr or done.stdout
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert found["ok"]
    assert found["reference"] == "torch in float64"
    assert (found["backend"], found["device"], found["precision"]) == ("torch", "cpu", "float32")
    figures = found["figures"]
    assert {figure["subject"] for figure in figures} >= {"relu1_1", "relu4_2", "objective"}
    assert len({figure["picture"] for figure in figures}) == 6
    assert len({figure["quantity"] for figure in figures}) == 7
    for figure in figures:
        assert 0 <= figure["value"] <= figure["limit"]
    # Nothing is so near that it was not measured.
    assert sum(figure["value"] == 0 for figure in figures) == 0


def test_a_right_backend_of_a_plugin_is_within_tolerance(parity: Parity) -> None:
    done = parity("--backend", "mine")
    assert done.returncode == 0, done.stderr or done.stdout
    lines = done.stdout.splitlines()
    assert "mine on cpu in float32, kinked, against torch in float64" in lines[0]
    assert lines[-1] == "all within tolerance"
    (line,) = [each for each in lines if "relative L2" in each and "objective" in each]
    assert line.split()[-1] == "ok"


@pytest.mark.parametrize(
    ("option", "exceeded"),
    [
        ("factor=-1", "gradient, relative L2"),
        ("factor=1.1", "gradient, relative L2"),
        ("wrong=noise", "features, relative L2"),
        ("wrong=not-a-number", "features, max abs"),
    ],
)
def test_a_wrong_backend_is_beyond_tolerance(parity: Parity, option: str, exceeded: str) -> None:
    done = parity("--backend", "mine", "--option", option)
    assert done.returncode == 1
    assert done.stderr == ""
    lines = [line for line in done.stdout.splitlines() if line.endswith("exceeded")]
    assert any(line.startswith(exceeded) for line in lines)
    assert done.stdout.splitlines()[-1] == f"{len(lines)} beyond tolerance"


def test_what_is_not_finite_is_null_in_json(parity: Parity) -> None:
    done = parity("--backend", "mine", "--option", "wrong=not-a-number", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout, parse_constant=pytest.fail)
    assert not found["ok"]
    assert found["options"]["wrong"] == "not-a-number"
    assert any(figure["value"] is None and not figure["ok"] for figure in found["figures"])


def test_another_backend_is_the_reference(parity: Parity) -> None:
    done = parity("--backend", "torch", "--device", "cpu", "--reference", "mine", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["reference"] == "mine"
    # The same code on both sides.
    assert {figure["value"] for figure in found["figures"]} == {0.0}


def test_finite_differences_are_the_reference_of_an_onnx_file(
    program: Program, tmp_path: Path
) -> None:
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["conv"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["conv"], ["relu"]),
    ]
    sides = (1, 3, "height", "width"), (1, 4, "height", "width")
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(("image", "relu"), sides, strict=True)
    ]
    weights = [numpy_helper.from_array(weight, "w")]
    graph = helper.make_graph(nodes, "network", values[:1], values[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "network.onnx")
    command = ["parity", "--backbone", "onnx:network.onnx", "--preprocessing", "none"]
    command += ["--backend", "onnx", "--device", "cpu"]
    done = program(*command, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["reference"] == "finite differences of its features"
    assert {figure["quantity"] for figure in report["figures"]} == {"gradient, from differences"}
    assert len({figure["picture"] for figure in report["figures"]}) == 3
    refused = program(*command, "--reference", "torch", folder=tmp_path)
    assert refused.returncode == 1
    assert "`--reference differences`" in refused.stderr


@pytest.mark.parametrize("factor", ["-1", "0.5", "1"])
def test_finite_differences_show_a_wrong_gradient(parity: Parity, factor: str) -> None:
    option = ("--option", f"factor={factor}")
    done = parity("--backend", "mine", *option, "--reference", "differences")
    assert done.returncode == int(factor != "1"), done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--backend", "mine", "--option", "wrong=crash"], 1, "no engine"),
        (["--backend", "mine", "--option", "wrong=cropped"], 1, "in the shape"),
        (["--backend", "mine", "--option", "speed=1"], 2, "speed"),
        (["--backend", "mine", "--option", "wrong"], 2, "KEY=VALUE"),
        (["--device", "cpu", "--option", "device=cpu"], 2, "--device"),
        (["--option", "name=mine"], 2, "--backend"),
        (["--backend", "toch"], 2, "did you mean torch"),
        (["--reference", "toch"], 2, "did you mean torch"),
        (["--reference", "differences", "--precision", "bf16"], 2, "float32"),
    ],
)
def test_a_mistake_is_an_error_in_one_line(
    parity: Parity, arguments: list[str], code: int, complaint: str
) -> None:
    done = parity(*arguments)
    assert done.returncode == code
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert complaint in line
    if code == 1:
        assert "stylectl-mine 1.2" in line
