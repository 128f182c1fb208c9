from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from stylectl.core.errors import BackendError, StylectlError, UsageError, WeightsError
from stylectl.core.interfaces.backbone import Backbone
from stylectl.core.job.choices import Choice
from stylectl.core.planning.backbones import Backbones
from stylectl.plugins.backbones.onnx_file import OnnxFile
from stylectl.plugins.manager import load_plugins

pytestmark = pytest.mark.subprocess


def weight(name: str, *shape: int) -> TensorProto:
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return numpy_helper.from_array(values, name)


def network(sides: tuple[Any, Any] = ("height", "width")) -> onnx.ModelProto:
    """A residual block and a gated one, each with a pooling before it, and a classifier.

    image - conv1 - relu1 - pool1 - [conv2 - relu2 - conv3] + - relu3 - pool2 - [mean - gate] *
    """
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w1"], ["conv1"], kernel_shape=[5, 5], strides=[2, 2]),
        node("Relu", ["conv1"], ["relu1"]),
        node("MaxPool", ["relu1"], ["pool1"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        node("Conv", ["pool1", "w2"], ["conv2"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["conv2"], ["relu2"]),
        node("Pad", ["relu2", "widths"], ["padded"], mode="constant"),
        node("Conv", ["padded", "w3"], ["conv3"], kernel_shape=[3, 3]),
        node("Add", ["conv3", "pool1"], ["sum"]),
        node("Relu", ["sum"], ["relu3"]),
        node("AveragePool", ["relu3"], ["pool2"], kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", ["pool2"], ["mean"]),
        node("Sigmoid", ["mean"], ["gate"]),
        node("Mul", ["pool2", "gate"], ["gated"]),
        node("GlobalAveragePool", ["gated"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
        node("MatMul", ["flat", "w4"], ["scores"]),
    ]
    weights = [
        weight("w1", 4, 3, 5, 5),
        weight("w2", 4, 4, 3, 3),
        weight("w3", 4, 4, 3, 3),
        weight("w4", 4, 10),
        numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "widths"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, *sides])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 10])
    graph = helper.make_graph(nodes, "network", [image], [scores], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def opened(path: Path, **options: Any) -> Backbone:
    choice = Choice.model_validate({"name": "onnx", "model": str(path), **options})
    return Backbones(load_plugins().registry).get(choice)[0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "network.onnx"
    onnx.save(network(), path)
    return path


@pytest.mark.parametrize("sides", [("height", "width"), (224, 224), (None, None)])
def test_layers_are_the_maps_that_grow_with_the_image(tmp_path: Path, sides: Any) -> None:
    onnx.save(network(sides), tmp_path / "network.onnx")
    backbone = opened(tmp_path / "network.onnx")
    found = [
        (each.name, each.channels, each.stride, each.receptive_field) for each in backbone.layers
    ]
    assert found == [
        ("conv1", 4, 2, 5),
        ("relu1", 4, 2, 5),
        ("pool1", 4, 4, 9),
        ("conv2", 4, 4, 17),
        ("relu2", 4, 4, 17),
        ("padded", 4, 4, 17),
        ("conv3", 4, 4, 25),
        ("sum", 4, 4, 25),
        ("relu3", 4, 4, 25),
        ("pool2", 4, 8, 29),
        ("gated", 4, 8, None),
    ]
    # The block's inner rectifier is no end of a stage: the sum goes around it.
    assert backbone.default_content_layers == {"gated": 1.0}
    shares = backbone.default_style_layers
    assert shares == pytest.approx({"relu1": 4 / 7, "relu3": 2 / 7, "gated": 1 / 7})


# Not of what an average pooling gives: ONNX Runtime lets a window be larger than its input.
@pytest.mark.parametrize("layer", ["relu1", "pool1", "conv2", "relu3"])
def test_the_smallest_side_is_the_smallest_that_runs(file: Path, layer: str) -> None:
    model = network()
    end = next(at for at, node in enumerate(model.graph.node) if layer in node.output)
    del model.graph.node[end + 1 :], model.graph.output[:]
    output = helper.make_tensor_value_info(layer, TensorProto.FLOAT, ["n", 4, "h", "w"])
    model.graph.output.append(output)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    info = opened(file).deepest([layer])

    def positions(side: int) -> int:
        try:
            (found,) = session.run([layer], {"image": np.zeros((1, 3, side, side), np.float32)})
        except Exception:  # onnxruntime's own, which have no common base
            return 0
        return int(min(found.shape[2:]))

    assert positions(info.smallest_side) >= 1
    assert positions(info.smallest_side - 1) == 0


def test_the_torch_backend_says_that_it_cannot_run_it(file: Path) -> None:
    with pytest.raises(BackendError, match=r"PyTorch cannot run.*`backend=onnx`"):
        opened(file).trunk(["relu1"])


@pytest.mark.parametrize("stated", ["caffe", "torchvision", "none"])
def test_preprocessing_comes_from_the_file_or_the_job(file: Path, stated: str) -> None:
    model = network()
    entry = model.metadata_props.add()
    entry.key, entry.value = "stylectl.preprocessing", stated
    own = file.with_name("own.onnx")
    onnx.save(model, own)
    for backbone in (
        opened(own),
        opened(own, preprocessing=stated),
        opened(file, preprocessing=stated),
    ):
        assert isinstance(backbone, OnnxFile)
        assert backbone.preprocessing == stated
    other = "none" if stated != "none" else "caffe"
    with pytest.raises(UsageError, match=f"needs preprocessing {stated}, not {other}"):
        opened(own, preprocessing=other)
    silent = opened(file)
    assert isinstance(silent, OnnxFile)
    with pytest.raises(UsageError, match="set `preprocessing`"):
        silent.preprocessing  # noqa: B018


def refused(path: Path, kind: type[StylectlError] = WeightsError) -> str:
    with pytest.raises(kind) as raised:
        opened(path)
    message = str(raised.value)
    assert path.name in message
    assert "\n" not in message
    return message


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert "no such" in refused(tmp_path / "none.onnx", UsageError)
    (tmp_path / "folder.onnx").mkdir()
    assert "no such" in refused(tmp_path / "folder.onnx", UsageError)
    assert ".onnx" in refused(tmp_path / "network.pth", UsageError)


@pytest.mark.parametrize(
    "data", [b"", b"No network.\n", bytes(range(256)) * 9, b"PK\x03\x04" + bytes(100), b"\x89PNG"]
)
def test_other_contents_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "other.onnx").write_bytes(data)
    refused(tmp_path / "other.onnx")


@pytest.mark.parametrize("length", [1, 50, 300, 900, -1, -300])
def test_truncated_files_are_refused(file: Path, length: int) -> None:
    file.write_bytes(file.read_bytes()[:length])
    refused(file)


def changed(change: Callable[[onnx.ModelProto], object], path: Path) -> Path:
    model = network()
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def foreign(model: onnx.ModelProto) -> None:
    model.graph.node[1].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def two_inputs(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1]))


def gray(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1


def whole(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64


def cyclic(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "relu3"


def short_constant(model: onnx.ModelProto) -> None:
    model.graph.initializer[4].raw_data = b"12345678"


def no_stride(model: onnx.ModelProto) -> None:
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "strides":
            attribute.ints[:] = [0, 0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (foreign, "com.example"),
        (two_inputs, "one input"),
        (gray, "one input"),
        (whole, "one input"),
        (cyclic, "not a valid ONNX model"),
        (short_constant, ""),
        (no_stride, ""),
    ],
)
def test_models_that_cannot_be_used_are_refused(
    change: Callable[[onnx.ModelProto], object], words: str, tmp_path: Path
) -> None:
    assert words in refused(changed(change, tmp_path / "network.onnx"))


def outside(location: str, **more: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **more}.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value

    return change


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/passwd", "a/../../secret", "..\\secret", "", "link", "."]
)
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(2000))
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    refused(changed(outside(location), folder / "network.onnx"))


def test_weights_in_the_folder_must_be_there_and_long_enough(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    assert "missing" in refused(changed(outside("weights.bin"), path))
    (tmp_path / "weights.bin").write_bytes(bytes(1200))
    for length in ("1201", "-1", "many"):
        refused(changed(outside("weights.bin", length=length), path))
    assert opened(changed(outside("weights.bin", length="1200"), path)).layers


@pytest.mark.skipif(os.name == "nt", reason="sparse files")
def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.onnx").open("wb") as made:
        made.truncate(3_000_000_000)
    assert "larger than 2 GB" in refused(tmp_path / "huge.onnx")


@pytest.mark.subprocess
def test_layers_are_listed_and_a_run_ends_in_a_line(file: Path) -> None:
    def stylectl(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stylectl", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=file.parent)

    listed = stylectl("list", "backbones", "--layers", f"onnx:{file.name}", "--json")
    assert [row["name"] for row in json.loads(listed.stdout)["layers"]][-1] == "gated"
    run = stylectl("run", "--backbone", f"onnx:{file.name}", "--size", "64", "--iterations", "1")
    assert run.returncode == 1
    assert "cannot run an ONNX file" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
