"""ONNX files as backbones, run by the onnx backend: the file's own numbers, and right gradients."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from stylectl import Backbone, BackendError, BackendOptions, StylectlError, UsageError
from stylectl.backends.onnx_export.export import export_trunk, save_model
from stylectl.backends.onnxruntime.backend import OnnxBackend
from stylectl.backends.onnxruntime.options import OnnxOptions
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.core.job.choices import Choice
from stylectl.core.planning.backbones import Backbones
from stylectl.plugins.backbones.torchvision.loading import import_torchvision
from stylectl.plugins.manager import load_plugins
from torch import nn

pytestmark = pytest.mark.subprocess  # a file is inspected in a process of its own

#: Relative L2. Convolutions of some hundred products, summed in another order.
CLOSE = 1e-5


def backbone(name: str, **options: Any) -> Backbone:
    choice = Choice.model_validate({"name": name, **options})
    return Backbones(load_plugins().registry).get(choice)[0]


def network(path: Path, last: str = "Relu", opset: int = 13, beside: bool = False) -> Path:
    """image - conv1 - relu1 - conv2 - relu2, and scores that no layer needs."""
    generator = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array(generator.standard_normal(shape).astype(np.float32), name)

    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w1"], ["conv1"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["conv1"], ["relu1"]),
        node("Conv", ["relu1", "w2"], ["conv2"], kernel_shape=[3, 3], strides=[2, 2]),
        node(last, ["conv2"], ["relu2"]),
        node("GlobalAveragePool", ["relu2"], ["pooled"]),
        node("Flatten", ["pooled"], ["scores"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 64, 64])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 6])
    weights = [weight("w1", 4, 3, 3, 3), weight("w2", 6, 4, 3, 3)]
    graph = helper.make_graph(nodes, "network", [image], [scores], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path, save_as_external_data=beside, location="weights.bin", size_threshold=0)
    return path


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def distance(got: torch.Tensor, expected: torch.Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


@pytest.mark.parametrize("preprocessing", ["caffe", "torchvision", "none"])
@pytest.mark.parametrize("beside", [False, True])
def test_it_gives_the_files_own_numbers_of_prepared_images(
    tmp_path: Path, preprocessing: str, beside: bool
) -> None:
    path = network(tmp_path / "network.onnx", beside=beside)
    opened = backbone("onnx", model=str(path), preprocessing=preprocessing)
    image = pictures(1, 3, 64, 64)
    layers = ("relu1", "relu2")
    with OnnxBackend(opened, layers, OnnxOptions(device="cpu")) as backend:
        features = backend.features(image)
    rgb = image.double().numpy()
    prepared = {
        "none": rgb,
        # torchvision's documentation of its weights; the readme of Caffe's VGG models.
        "torchvision": (rgb - np.reshape([0.485, 0.456, 0.406], (3, 1, 1)))
        / np.reshape([0.229, 0.224, 0.225], (3, 1, 1)),
        "caffe": 255 * rgb[:, ::-1] - np.reshape([103.939, 116.779, 123.68], (3, 1, 1)),
    }[preprocessing]
    plain = onnx.load(str(path))
    for name in layers:
        plain.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(plain.SerializeToString())
    expected = session.run(list(layers), {"image": prepared.astype(np.float32)})
    for name, value in zip(layers, expected, strict=True):
        assert distance(features[name], torch.from_numpy(value)) < CLOSE


def test_images_of_other_sizes_and_batches_are_taken(tmp_path: Path) -> None:
    opened = backbone("onnx", model=str(network(tmp_path / "a.onnx")), preprocessing="none")
    with OnnxBackend(opened, ("relu2",), OnnxOptions(device="cpu")) as backend:
        assert backend.features(pictures(2, 3, 31, 45))["relu2"].shape == (2, 6, 15, 22)


def test_an_exported_network_is_the_same_network(tmp_path: Path) -> None:
    vgg19 = backbone("vgg19")
    layers = ("relu1_1", "relu2_1")
    save_model(export_trunk(vgg19.trunk(layers), vgg19, layers), tmp_path / "vgg.onnx")
    opened = backbone("onnx", model=str(tmp_path / "vgg.onnx"))
    image = pictures(1, 3, 33, 47)
    with (
        OnnxBackend(opened, layers, OnnxOptions(device="cpu")) as onnx_backend,
        TorchBackend(vgg19, layers, BackendOptions(device="cpu")) as torch_backend,
    ):
        assert onnx_backend.details["gradient"] == "native"
        features, pullback = onnx_backend.vjp(image)
        expected, expected_pullback = torch_backend.vjp(image)
        cotangents = {name: pictures(*value.shape) for name, value in expected.items()}
        gradient, wanted = pullback(cotangents), expected_pullback(cotangents)
    for name in layers:
        assert distance(features[name], expected[name]) < CLOSE
    # A rectifier or a maximum near its kink may fall to either side.
    assert distance(gradient, wanted) < 1e-3


@pytest.fixture
def without_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Softsign has no gradient rule."""
    module: Any = sys.modules["stylectl.backends.onnx_gradient.propagation"]
    rules = {operator: rule for operator, rule in module.RULES.items() if operator != "Softsign"}
    monkeypatch.setattr(module, "RULES", rules)


@pytest.mark.usefixtures("without_rule")
def test_an_operator_without_a_rule_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx2pytorch", None)  # as if it were not installed
    path = network(tmp_path / "a.onnx", last="Softsign", opset=18)
    opened = backbone("onnx", model=str(path), preprocessing="none")
    with pytest.raises(BackendError, match=r"Softsign \(node 'relu2'\).*stylectl\[convert\]"):
        OnnxBackend(opened, ("relu2",), OnnxOptions(device="cpu"))
    with OnnxBackend(opened, ("relu1",), OnnxOptions(device="cpu")) as backend:
        assert backend.details["gradient"] == "native"  # it is not on the way


def test_torchs_gradient_needs_a_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx2pytorch", None)
    opened = backbone("onnx", model=str(network(tmp_path / "a.onnx")), preprocessing="none")
    with pytest.raises(BackendError, match=r"requested.*pip install 'stylectl\[convert\]'"):
        OnnxBackend(opened, ("relu1",), OnnxOptions(device="cpu", gradient="torch"))


MODULES = {
    "LRN": nn.LocalResponseNorm(3),
    "Softsign": nn.Softsign(),
    "InstanceNorm": nn.InstanceNorm2d(8, affine=True),
    "PReLU": nn.PReLU(8),
    "Softmax": nn.Softmax(1),
}


@pytest.mark.filterwarnings("ignore")  # of torch's older exporter, and in the library
@pytest.mark.parametrize("name", MODULES)
def test_the_gradient_by_a_conversion_is_that_of_the_network(tmp_path: Path, name: str) -> None:
    import_torchvision()  # which onnx2pytorch imports
    pytest.importorskip("onnx2pytorch", reason="the extra `convert`")
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), MODULES[name], nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(8, 6, 3), nn.Hardswish()),
    ).eval()
    path = tmp_path / "network.onnx"
    torch.onnx.export(
        network,
        (pictures(1, 3, 40, 44),),
        path,
        dynamo=False,
        input_names=["x"],
        dynamic_axes={"x": {0: "batch", 2: "height", 3: "width"}},
        opset_version=18,
    )
    opened = backbone("onnx", model=str(path), preprocessing="none")
    options = OnnxOptions(device="cpu", gradient="torch")
    with OnnxBackend(opened, [opened.layers[-1].name], options) as backend:
        assert backend.details["gradient"] == "torch"
        for size in ((40, 44), (51, 63)):
            image = pictures(1, 3, *size).requires_grad_()
            features, pullback = backend.vjp(image.detach())
            expected = network(image)
            cotangent = pictures(*expected.shape)
            (gradient,) = torch.autograd.grad(expected, image, cotangent)
            assert distance(features[backend.layers[0]], expected.detach()) < CLOSE
            assert distance(pullback({backend.layers[0]: cotangent}), gradient) < CLOSE


def test_what_the_image_must_be_is_asked_for(tmp_path: Path) -> None:
    opened = backbone("onnx", model=str(network(tmp_path / "a.onnx")))
    with pytest.raises(UsageError, match="set `preprocessing`"):
        OnnxBackend(opened, ("relu1",), OnnxOptions(device="cpu"))


@pytest.mark.subprocess
def test_a_run_paints_by_it_and_tells_of_the_gradient(tmp_path: Path) -> None:
    path = network(tmp_path / "network.onnx")
    command = [sys.executable, "-m", "stylectl", "run", "--backend", "onnx", "--json"]
    command += ["--backbone", f"onnx:{path}", "--preprocessing", "torchvision"]
    command += ["--content-layers", "relu2", "--style-layers", "relu1,relu2"]
    command += ["--size", "48", "--iterations", "3", "--device", "cpu", "-o", "out.png"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["details"]["gradient"] == "native"
    assert report["details"]["gradient_because"]
    assert sum(report["final_loss"].values()) < sum(report["initial_loss"].values())
    assert "gradient: native" in done.stderr


@pytest.mark.parametrize("harm", ["kernel", "sparse"])
def test_what_onnx_runtime_does_not_run_is_an_error_with_the_files_name(
    tmp_path: Path, harm: str
) -> None:
    path = network(tmp_path / "network.onnx")
    model = onnx.load(path)
    if harm == "kernel":  # it is not that of the weights
        model.graph.node[0].attribute[0].ints[:] = [7, 7]
    else:  # 4 TB as an array
        values = helper.make_tensor("sum", TensorProto.FLOAT, [1], [1.0])
        indices = helper.make_tensor("indices", TensorProto.INT64, [1], [10**11])
        sparse = helper.make_sparse_tensor(values, indices, [10**6, 10**6])
        model.graph.sparse_initializer.append(sparse)
        reduced = helper.make_node("ReduceSum", ["sum"], ["total"], keepdims=0)
        model.graph.node.insert(2, reduced)
        model.graph.node.insert(3, helper.make_node("Mul", ["relu1", "total"], ["scaled"]))
        model.graph.node[4].input[0] = "scaled"
    onnx.save(model, path)

    def run() -> None:
        opened = backbone("onnx", model=str(path), preprocessing="none")
        with OnnxBackend(opened, ("relu2",), OnnxOptions(device="cpu")) as backend:
            backend.features(pictures(1, 3, 64, 64))

    with pytest.raises(StylectlError, match=r"network\.onnx"):
        run()
