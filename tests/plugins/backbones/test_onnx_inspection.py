"""ONNX files that are made to do harm: each is refused in a line, in bounded time and memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from stylectl.backends.onnxruntime import trial
from stylectl.backends.onnxruntime.backend import OnnxBackend
from stylectl.backends.onnxruntime.options import OnnxOptions
from stylectl.core.errors import StylectlError, WeightsError
from stylectl.plugins.backbones.onnx import inspection
from stylectl.plugins.backbones.onnx_file import OnnxFile, OnnxFileOptions

pytestmark = pytest.mark.subprocess

IN_LIMITS = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux limits the memory of a process"
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "stylectl" / "onnx" / "inspected"


def constant(name: str, value: object, kind: type = np.int64) -> TensorProto:
    return numpy_helper.from_array(np.array(value, kind), name)


KERNEL = constant("kernel", np.full((4, 3, 3, 3), 0.1), np.float32)
RELU = helper.make_node("Relu", ["conv"], ["relu"])


def conv(**settings: Any) -> NodeProto:
    return helper.make_node(
        "Conv", ["image", "kernel"], ["conv"], **{"kernel_shape": [3, 3], **settings}
    )


def model(nodes: Sequence[NodeProto], constants: Sequence[TensorProto] = (KERNEL,)) -> ModelProto:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    relu = helper.make_tensor_value_info("relu", TensorProto.FLOAT, ["n", "c", "h2", "w2"])
    graph = helper.make_graph(list(nodes), "network", [image], [relu], list(constants))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    entry = made.metadata_props.add()
    entry.key, entry.value = "stylectl.preprocessing", "none"
    return made


def opened(made: ModelProto, folder: Path) -> OnnxFile:
    path = folder / "network.onnx"
    path.write_bytes(made.SerializeToString())
    return OnnxFile(OnnxFileOptions(model=str(path)))


def refused(made: ModelProto, folder: Path) -> str:
    """The message, in one line with the file's name, at the latest when the network is opened."""
    with pytest.raises(StylectlError) as raised:
        OnnxBackend(opened(made, folder), ("relu",), OnnxOptions(device="cpu"))
    message = str(raised.value)
    assert "network.onnx" in message
    assert "\n" not in message
    return message


def test_a_good_file_is_inspected_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(model([conv(), RELU]), tmp_path)
    assert [info.name for info in first.layers] == ["conv", "relu"]
    assert first.preprocessing == "none"
    (kept,) = cache.iterdir()
    monkeypatch.setattr(inspection, "call", None)  # no process is started
    second = opened(model([conv(), RELU]), tmp_path)
    assert second.layers == first.layers
    assert second.image == first.image
    assert second.default_style_layers == first.default_style_layers
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kept.write_text("{")  # a damaged result is made again
    assert opened(model([conv(), RELU]), tmp_path).layers == first.layers
    assert kept.read_text() != "{"


def test_a_file_is_refused_each_time(tmp_path: Path, cache: Path) -> None:
    for _ in range(2):
        refused(model([conv(pads=[1, 1]), RELU]), tmp_path)
    assert not cache.exists()


@pytest.mark.skipif(os.name == "nt", reason="no such permissions")
def test_without_a_cache_files_are_inspected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert opened(model([conv(), RELU]), tmp_path).layers


def test_weights_that_changed_beside_a_file_are_checked_again(tmp_path: Path) -> None:
    made = model([conv(), RELU])
    tensor = made.graph.initializer[0]
    (tmp_path / "weights.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("length", "432")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    assert opened(made, tmp_path).layers
    (tmp_path / "weights.bin").write_bytes(bytes(100))
    assert "too short" in refused(made, tmp_path)


def test_shape_inference_that_does_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Einsum whose equation is a million dots."""
    monkeypatch.setattr(inspection, "_SECONDS", 2)
    dots = "." * 1_000_000
    einsum = helper.make_node("Einsum", ["relu", "relu"], ["e"], equation=f"{dots}->{dots}")
    assert "refused: its inspection takes more than" in refused(
        model([conv(), RELU, einsum]), tmp_path
    )


def added(*nodes: NodeProto, **constants: object) -> ModelProto:
    """A network that adds the sum of `values`, which the nodes compute, to its features."""
    total = [
        helper.make_node("ReduceSum", ["values"], ["total"], keepdims=0),
        helper.make_node("Cast", ["total"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["float", "shape"], ["scalar"]),
        helper.make_node("Add", ["conv", "scalar"], ["moved"]),
        helper.make_node("Relu", ["moved"], ["relu"]),
    ]
    constants |= {"shape": [1, 1, 1, 1]}
    given = [constant(name, value) for name, value in constants.items()]
    return model([conv(), *nodes, *total], [KERNEL, *given])


@IN_LIMITS
@pytest.mark.parametrize("length", [10**9, 10**12], ids=str)
def test_huge_constants_are_refused(tmp_path: Path, length: int) -> None:
    count = helper.make_node("Range", ["start", "end", "step"], ["values"])
    message = refused(added(count, start=0, end=length, step=1), tmp_path)
    assert "refused: running the network takes more than" in message


@IN_LIMITS
def test_huge_paddings_are_refused(tmp_path: Path) -> None:
    assert "takes more than" in refused(model([conv(pads=[10**6] * 4), RELU]), tmp_path)


def test_a_loop_without_an_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_SECONDS", 3)
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Identity", ["before"], ["after"]),
        ],
        "body",
        [
            value("number", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("before", TensorProto.INT64, [1]),
        ],
        [value("go_on", TensorProto.BOOL, []), value("after", TensorProto.INT64, [1])],
    )
    loop = helper.make_node("Loop", ["trips", "always", "first"], ["values"], body=body)
    made = added(loop, trips=2**62, first=[1])
    made.graph.initializer.append(constant("always", True, np.bool_))
    assert "refused: running the network takes more than" in refused(made, tmp_path)


def sparse(dims: Sequence[int]) -> ModelProto:
    made = model([conv(), RELU], [])
    tensor = made.graph.sparse_initializer.add()
    tensor.values.CopyFrom(constant("kernel", [1], np.float32))
    tensor.indices.CopyFrom(constant("", [0]))
    tensor.dims[:] = dims
    return made


def quantized() -> ModelProto:
    kind = TensorProto.FLOAT8E4M3FN
    kernel = TensorProto(name="kernel", data_type=kind, dims=[4, 3, 3, 3], raw_data=bytes(108))
    return model([conv(), RELU], [kernel])


def own_operator() -> ModelProto:
    made = model([conv(), RELU])
    made.functions.append(
        helper.make_function(
            "",
            "Relu",
            ["x"],
            ["y"],
            [helper.make_node("Relu", ["x"], ["y"])],
            [helper.make_opsetid("", 18)],
        )
    )
    return made


HARMFUL: dict[str, Callable[[], ModelProto]] = {
    "float8": quantized,
    "sparse": lambda: sparse([4, 3, 3, 3]),
    "huge sparse": lambda: sparse([10**6, 10**6, 3, 3]),
    "a function": own_operator,
    "groups that do not divide": lambda: model([conv(group=7), RELU]),
    "no groups": lambda: model([conv(group=0), RELU]),
    "two pads": lambda: model([conv(pads=[1, 1]), RELU]),
    "six pads": lambda: model([conv(pads=[1] * 6), RELU]),
    "negative pads": lambda: model([conv(pads=[-(10**6)] * 4), RELU]),
    "one kernel side": lambda: model([conv(kernel_shape=[3]), RELU]),
    "one stride": lambda: model([conv(strides=[2]), RELU]),
    "negative strides": lambda: model([conv(strides=[-1, -1]), RELU]),
    "no dilation": lambda: model([conv(dilations=[0, 0]), RELU]),
    "negative sizes": lambda: model(
        [conv(), RELU],
        [TensorProto(name="kernel", data_type=1, dims=[-4, 3, 3, 3], raw_data=bytes(432))],
    ),
    "huge sizes": lambda: model(
        [conv(), RELU],
        [TensorProto(name="kernel", data_type=1, dims=[10**9, 10**9, 3, 3], raw_data=bytes(432))],
    ),
}


@pytest.mark.parametrize("harmful", HARMFUL.values(), ids=HARMFUL)
def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, harmful: Callable[[], ModelProto]
) -> None:
    refused(harmful(), tmp_path)


@pytest.mark.parametrize(
    ("offset", "length"),
    [("7", "425"), ("9" * 5000, "1"), ("-5", "10"), ("433", None), ("0", "10"), ("4", "432")],
)
def test_offsets_of_weights_beside_a_file_are_checked(
    tmp_path: Path, offset: str, length: str | None
) -> None:
    (tmp_path / "weights.bin").write_bytes(KERNEL.raw_data)
    made = model([conv(), RELU])
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", offset), ("length", length)):
        if value is not None:
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
    refused(made, tmp_path)


def test_an_inspection_that_fails_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(WeightsError, match=r"network\.onnx: refused: its inspection cannot be st"):
        opened(model([conv(), RELU]), tmp_path)
