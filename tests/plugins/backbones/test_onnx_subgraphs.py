"""ONNX files with branches and loops, whose bodies use values of the graph around them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from stylectl.backends.onnx_gradient import NoGradientError, cotangent_name, differentiate
from stylectl.backends.onnx_gradient.rules import RULES
from stylectl.backends.onnxruntime.backend import OnnxBackend
from stylectl.backends.onnxruntime.options import OnnxOptions
from stylectl.core.errors import BackendError
from stylectl.plugins.backbones.onnx.graph import feature_maps
from stylectl.plugins.backbones.onnx.model import image_model
from stylectl.plugins.backbones.onnx.reading import read_onnx
from stylectl.plugins.backbones.onnx_file import OnnxFile, OnnxFileOptions
from torch import Tensor, nn

pytestmark = pytest.mark.subprocess  # a file is inspected in a process of its own

#: Relative L2. Sums of some hundred products, each rounded by 6e-8.
CLOSE = 5e-6


def distance(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def opened(path: Path, preprocessing: Any = "none") -> OnnxFile:
    return OnnxFile(OnnxFileOptions(model=str(path), preprocessing=preprocessing))


class Normalized(nn.Module):
    """Normalization by the neighboring channels, with squeezes of a dimension that is one."""

    def forward(self, x: Tensor) -> Tensor:
        squares = nn.functional.pad(x.square().unsqueeze(1), (0, 0, 0, 0, 2, 2))
        means = nn.functional.avg_pool3d(squares, (5, 1, 1), stride=1).squeeze(1)
        return x / (1 + means)


@pytest.mark.filterwarnings("ignore")  # of torch's older exporter
@pytest.mark.parametrize("layer", [Normalized(), nn.LocalResponseNorm(5), nn.LocalResponseNorm(2)])
def test_a_normalization_by_torchs_older_exporter_is_differentiated(
    tmp_path: Path, layer: nn.Module
) -> None:
    if isinstance(layer, nn.LocalResponseNorm) and "Pow" not in RULES:
        pytest.skip("there is no rule for Pow")
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), layer, nn.Conv2d(6, 4, 3), nn.ReLU()
    ).eval()
    path = tmp_path / "network.onnx"
    torch.onnx.export(
        network,
        (torch.rand(1, 3, 20, 24),),
        path,
        dynamo=False,
        input_names=["x"],
        dynamic_axes={"x": {0: "batch", 2: "height", 3: "width"}},
        opset_version=17,
    )
    backbone = opened(path)
    (last,) = [info.name for info in backbone.layers][-1:]
    with OnnxBackend(backbone, [last], OnnxOptions(device="cpu", gradient="native")) as backend:
        image = torch.rand(1, 3, 20, 24).requires_grad_()
        features, pullback = backend.vjp(image.detach())
        expected = network(image)
        cotangent = torch.randn(expected.shape)
        (gradient,) = torch.autograd.grad(expected, image, cotangent)
        assert distance(features[last], expected.detach()) < CLOSE
        assert distance(pullback({last: cotangent}), gradient) < CLOSE


def value(name: str, *sizes: int | str | None, element: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, element, sizes)


MAP = (1, 4, None, None)


def branch(name: str, *nodes: NodeProto) -> GraphProto:
    """A branch that gives `out`; it uses `conv`, of the graph around it."""
    return helper.make_graph(list(nodes), name, [], [value("out", *MAP)])


def conditional(condition: Mapping[str, Any]) -> list[NodeProto]:
    """Convolution `conv`, and an If that takes relu(conv) or -2 conv, by a condition."""
    make = helper.make_node
    yes = branch("yes", make("Relu", ["conv"], ["out"]))
    no = branch("no", make("Mul", ["conv", "minus_two"], ["out"]))
    return [
        make("Conv", ["image", "w"], ["conv"], kernel_shape=[3, 3], pads=[1] * 4),
        make(**condition, outputs=["condition"]),
        make("If", ["condition"], ["chosen"], then_branch=yes, else_branch=no),
        make("Relu", ["chosen"], ["last"]),
    ]


WEIGHT = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)


def saved(path: Path, nodes: list[NodeProto], constants: Mapping[str, Any]) -> Path:
    arrays = {"w": WEIGHT, "minus_two": np.float32(-2), **constants}
    graph = helper.make_graph(
        nodes,
        "network",
        [value("image", 1, 3, "height", "width")],
        [value("last", *MAP)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    condition=st.booleans(),
    height=st.integers(5, 20),
    width=st.integers(5, 20),
    preprocessing=st.sampled_from(["none", "torchvision", "caffe"]),
)
def test_a_known_branch_is_part_of_the_network(
    tmp_path: Path, condition: bool, height: int, width: int, preprocessing: str
) -> None:
    nodes = conditional({"op_type": "Not", "inputs": ["stored"]})
    path = saved(tmp_path / "network.onnx", nodes, {"stored": not condition})
    backbone = opened(path, preprocessing)
    model = onnx.ModelProto.FromString(backbone.onnx_model(["last"]) or b"")
    assert not any(node.op_type == "If" for node in model.graph.node)
    pair = differentiate(model)
    image = np.random.default_rng(1).random((1, 3, height, width), np.float32)
    forward = outputs(pair.forward, {"image": image})
    cotangent = np.random.default_rng(2).standard_normal(forward["last"].shape).astype(np.float32)
    inputs = {**forward, "image": image, cotangent_name("last"): cotangent}
    (gradient,) = outputs(pair.backward, inputs).values()

    leaf = torch.from_numpy(image).requires_grad_()
    convolved = nn.functional.conv2d(
        prepared(leaf, preprocessing), torch.from_numpy(WEIGHT), padding=1
    )
    expected = (convolved if condition else -2 * convolved).relu()
    (exact,) = torch.autograd.grad(expected, leaf, torch.from_numpy(cotangent))
    assert distance(torch.from_numpy(forward["last"]), expected.detach()) < CLOSE
    # A rectifier within rounding of its kink may switch.
    assert distance(torch.from_numpy(gradient), exact) < 1e-2


@pytest.mark.parametrize("number", [0, 1])
def test_a_branch_may_hang_on_a_constant_of_any_form(tmp_path: Path, number: int) -> None:
    stated = helper.make_node("Constant", [], ["number"], value_ints=[number])
    cast: dict[str, Any] = {"op_type": "Cast", "inputs": ["number"], "to": TensorProto.BOOL}
    path = saved(tmp_path / "network.onnx", [stated, *conditional(cast)], {})
    model = read_onnx(path, "file")
    assert not any(node.op_type == "If" for node in model.graph.node)
    assert any(node.op_type == "Mul" for node in model.graph.node) is (number == 0)


def prepared(image: Tensor, preprocessing: str) -> Tensor:
    def channels(*values: float) -> Tensor:
        return torch.tensor(values).view(3, 1, 1)

    if preprocessing == "caffe":
        return 255 * image.flip(1) - channels(103.939, 116.779, 123.68)
    if preprocessing == "torchvision":
        return (image - channels(0.485, 0.456, 0.406)) / channels(0.229, 0.224, 0.225)
    return image


def outputs(model: onnx.ModelProto, inputs: Mapping[str, Any]) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    needed = {entry.name: inputs[entry.name] for entry in session.get_inputs()}
    return dict(zip(names, session.run(names, needed), strict=True))


@pytest.mark.parametrize("limit", [-1e3, 1e3])
def test_a_branch_that_the_image_decides_has_the_gradient_of_what_it_takes(
    tmp_path: Path, limit: float
) -> None:
    make = helper.make_node
    nodes = conditional({"op_type": "Greater", "inputs": ["mean", "limit"]})
    nodes[1:1] = [
        make("ReduceMean", ["conv"], ["means"], keepdims=0),
        make("Identity", ["means"], ["mean"]),
    ]
    path = saved(tmp_path / "network.onnx", nodes, {"limit": np.float32(limit)})
    names = [info.name for info in opened(path).layers]
    assert names == ["conv"]  # the positions of a branch's values are not known
    pair = differentiate(onnx.load(str(path)))
    image = np.random.default_rng(0).random((1, 3, 9, 9), np.float32)
    forward = outputs(pair.forward, {"image": image})
    cotangent = np.random.default_rng(2).standard_normal((1, 4, 9, 9)).astype(np.float32)
    inputs = {**forward, "image": image, cotangent_name("last"): cotangent}
    (gradient,) = outputs(pair.backward, inputs).values()

    leaf = torch.from_numpy(image).requires_grad_()
    convolved = nn.functional.conv2d(leaf, torch.from_numpy(WEIGHT), padding=1)
    expected = (convolved if limit < 0 else -2 * convolved).relu()
    (exact,) = torch.autograd.grad(expected, leaf, torch.from_numpy(cotangent))
    assert distance(torch.from_numpy(forward["last"]), expected.detach()) < CLOSE
    # A rectifier within rounding of its kink may switch.
    assert distance(torch.from_numpy(gradient), exact) < 1e-2


def test_a_captured_image_is_preprocessed(tmp_path: Path) -> None:
    make = helper.make_node
    window: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1] * 4}
    first = branch("first", make("Conv", ["image", "w"], ["out"], **window))
    second = branch("second", make("Neg", ["conv"], ["out"]))
    nodes = [
        make("ReduceMean", ["image"], ["mean"], keepdims=0),
        make("Greater", ["mean", "limit"], ["condition"]),
        make("Conv", ["image", "w"], ["conv"], **window),
        make("If", ["condition"], ["chosen"], then_branch=first, else_branch=second),
        make("Add", ["conv", "chosen"], ["last"]),
    ]
    path = saved(tmp_path / "network.onnx", nodes, {"limit": np.float32(-1e3)})
    read = read_onnx(path, "file")
    model = image_model(read, path, "file", feature_maps(read, "file"), ["last"], "caffe")
    image = torch.rand(1, 3, 9, 11)
    expected = 2 * nn.functional.conv2d(
        prepared(image, "caffe"), torch.from_numpy(WEIGHT), padding=1
    )
    got = outputs(model, {"image": image.numpy()})["last"]
    assert distance(torch.from_numpy(got), expected) < CLOSE


def test_a_loop_over_the_image_is_refused_by_name(tmp_path: Path) -> None:
    make = helper.make_node
    body = helper.make_graph(
        [
            make("Identity", ["continued"], ["continue"]),
            make("Add", ["sum", "conv"], ["next"]),  # `conv` is of the graph around it
        ],
        "body",
        [
            value("number", element=TensorProto.INT64),
            value("continued", element=TensorProto.BOOL),
            value("sum", *MAP),
        ],
        [value("continue", element=TensorProto.BOOL), value("next", *MAP)],
    )
    nodes = [
        make("Conv", ["image", "w"], ["conv"], kernel_shape=[3, 3], pads=[1] * 4),
        make("Loop", ["times", "", "conv"], ["looped"], body=body, name="repeat"),
        make("Conv", ["looped", "w2"], ["last"], kernel_shape=[1, 1]),
    ]
    w2 = np.random.default_rng(1).standard_normal((4, 4, 1, 1)).astype(np.float32)
    path = saved(tmp_path / "network.onnx", nodes, {"times": np.int64(100), "w2": w2})
    with pytest.raises(NoGradientError, match=r"Loop \(node 'repeat'\)"):
        differentiate(onnx.load(str(path)))
    backbone = opened(path)
    if any(info.name == "last" for info in backbone.layers):
        with pytest.raises(BackendError, match=r"Loop \(node 'repeat'\)"):
            OnnxBackend(backbone, ["last"], OnnxOptions(device="cpu", gradient="native"))
