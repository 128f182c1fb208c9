"""The check of a network before ONNX Runtime is used for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from stylectl.backends.accuracy.network_check import NetworkCheck
from stylectl.backends.onnxruntime.backend import OnnxBackend
from stylectl.backends.onnxruntime.models import cache_folder
from stylectl.backends.onnxruntime.options import OnnxOptions
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.core.errors import BackendError
from stylectl.core.interfaces.backbone import Backbone, LayerInfo
from stylectl.core.interfaces.backend import BackendOptions, Features, Pullback
from stylectl.core.interfaces.trunk import Trunk
from stylectl.plugins.backbones.onnx_file import OnnxFile, OnnxFileOptions
from stylectl.plugins.backbones.torchvision.loading import import_torchvision
from stylectl.plugins.backbones.torchvision.windows import with_any_size
from stylectl.testing import KinkedBackbone
from torch import Tensor, nn

pytestmark = pytest.mark.subprocess  # a file is inspected in a process of its own

CPU = OnnxOptions(device="cpu")


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Models with a wrong rule stay out of the cache of other tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class SmallSwin(Backbone):
    """A Swin transformer of one stage."""

    name = "small-swin"
    layers: tuple[LayerInfo, ...] = (LayerInfo("stage", 8, 4, None, 4),)
    aliases: Mapping[str, str] = {}
    default_content_layers = default_style_layers = {"stage": 1.0}  # noqa: RUF012

    def trunk(self, layers: Collection[str]) -> Trunk:
        swin = import_torchvision("torchvision.models.swin_transformer")
        extraction = import_torchvision("torchvision.models.feature_extraction")
        arguments = {"embed_dim": 8, "depths": [2], "num_heads": [2], "window_size": [7, 7]}
        torch.manual_seed(0)
        model = swin.SwinTransformer(patch_size=[4, 4], **arguments).eval()
        network = extraction.create_feature_extractor(model, {"features.1.1.add_1": "stage"})
        return SwinTrunk(with_any_size(network))


class SwinTrunk(Trunk):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        return {"stage": self.network(image - 0.5)["stage"].permute(0, 3, 1, 2)}


class Branching(KinkedBackbone):
    """A network with a branch on the image's size, of which an export keeps one."""

    def trunk(self, layers: Collection[str]) -> Trunk:
        return BranchingTrunk(super().trunk(layers))


class BranchingTrunk(Trunk):
    def __init__(self, inner: Trunk) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        return self.inner(image * 2 if image.shape[2] > 60 else image, layers)  # type: ignore[no-any-return]


def test_an_export_with_a_frozen_branch_on_the_size_is_refused() -> None:
    with pytest.raises(BackendError, match=r"kinked is refused.*differs.*use `backend=torch`"):
        OnnxBackend(Branching(), ["relu2_1"], CPU)


@pytest.mark.slow
def test_windows_of_any_size_are_right() -> None:
    backbone = SmallSwin()
    with OnnxBackend(backbone, ["stage"], CPU) as backend:
        trunk = backbone.trunk(backend.layers)
        for size in ((13, 16), (29, 30), (40, 29), (56, 57), (71, 90)):
            image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
            with torch.no_grad():
                expected = trunk(image)["stage"]
            difference = backend.features(image)["stage"] - expected
            # Sums of some hundred products, rounded by 6e-8 each.
            assert float(difference.norm() / expected.norm()) < 2e-6


def file(path: Path, block: int = 1) -> OnnxFile:
    """An ONNX file with a rectifier, for images whose sides are in whole blocks of pixels."""
    generator = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(generator.standard_normal(shape).astype(np.float32), name)
        for name, shape in (("w1", (4, 3, 3, 3)), ("w2", (6, 4, 3, 3)))
    ]
    weights.append(numpy_helper.from_array(np.array([1, 1, block, block], np.float32), "scales"))
    blocks: dict[str, Any] = {"kernel_shape": [block, block], "strides": [block, block]}
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["conv"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("AveragePool", ["conv"], ["means"], **blocks),
        helper.make_node("Resize", ["means", "", "scales"], ["resized"], mode="nearest"),
        helper.make_node("Add", ["conv", "resized"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["relu"]),
        helper.make_node("Conv", ["relu", "w2"], ["last"], kernel_shape=[3, 3]),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("last", TensorProto.FLOAT, [1, 6, None, None])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)
    return OnnxFile(OnnxFileOptions(model=str(path), preprocessing="none"))


@pytest.fixture
def wrong_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of Relu is as if all its inputs were positive."""
    module: Any = sys.modules["stylectl.backends.onnx_gradient.propagation"]
    rules = {**module.RULES, "Relu": lambda graph, node, gradient: {0: gradient}}
    monkeypatch.setattr(module, "RULES", rules)


@pytest.mark.usefixtures("wrong_rule")
def test_a_wrong_gradient_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"kinked is refused: its gradient .* `gradient=torch`"):
        OnnxBackend(KinkedBackbone(), ["relu1_1", "relu2_1"], CPU)
    with pytest.raises(BackendError, match=r"refused: .* from finite differences of its features"):
        OnnxBackend(file(tmp_path / "a.onnx"), ["last"], CPU)


@pytest.mark.usefixtures("wrong_rule")
def test_a_file_is_checked_at_a_size_that_it_takes(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"finite differences .* image of 64x64 px"):
        OnnxBackend(file(tmp_path / "a.onnx", block=4), ["last"], CPU)


class ParticularBackend(TorchBackend):
    """A backend that takes images of one size."""

    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        if image.shape[2:] != (35, 40):
            raise BackendError("another size")
        return super().features(image, layers)


def test_a_network_that_takes_no_usual_size_is_checked_at_the_jobs(tmp_path: Path) -> None:
    layers = ["relu1_1", "relu2_1"]
    backend = ParticularBackend(KinkedBackbone(), layers, BackendOptions(device="cpu"))
    check = NetworkCheck(
        "kinked", 2, True, lambda: None, "float32", True, tmp_path / "checked", "key"
    )
    assert not check.once(backend)
    assert not any(tmp_path.glob("checked/*/*"))
    assert check.once(backend, [(35, 40)])
    assert len([*tmp_path.glob("checked/*/*.json")]) == 1


class ConvertedWronglyBackend(TorchBackend):
    """A backend whose gradient comes from another network than its features."""

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        return super().vjp(image.roll(1, 2))


def test_a_conversion_to_another_network_is_refused(tmp_path: Path) -> None:
    backend = ConvertedWronglyBackend(KinkedBackbone(), ["relu2_1"], BackendOptions(device="cpu"))
    check = NetworkCheck(
        "kinked", 2, True, lambda: None, "float32", False, tmp_path / "checked", "key"
    )
    with pytest.raises(BackendError, match=r"its conversion differs .* at the layer relu2_1"):
        check.once(backend)


@pytest.mark.parametrize("from_file", [False, True])
def test_the_check_is_made_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, from_file: bool
) -> None:
    backbone = file(tmp_path / "a.onnx") if from_file else KinkedBackbone()
    layer = backbone.layers[-1].name
    OnnxBackend(backbone, [layer], CPU).close()
    (report,) = (cache_folder() / "checked").glob("*/distances.json")
    distances = json.loads(report.read_text())
    assert max(distances.values()) < 0.1
    kinds = {name.partition(" ")[0] for name in distances}
    assert kinds == ({"differences"} if from_file else {"features", "gradient"})

    def checked_again(*_: object) -> None:
        raise AssertionError("the network is checked again")

    monkeypatch.setattr(NetworkCheck, "_check", checked_again)
    OnnxBackend(backbone, [layer], CPU).close()
    with pytest.raises(AssertionError):  # other layers are another network
        OnnxBackend(backbone, [backbone.layers[0].name], CPU)


def test_a_network_without_a_native_gradient_is_compared_with_torch(tmp_path: Path) -> None:
    OnnxBackend(KinkedBackbone(), ["relu2_1"], CPU.model_copy(update={"gradient": "torch"})).close()
    (report,) = (cache_folder() / "checked").glob("*/distances.json")
    assert {name.partition(" ")[0] for name in json.loads(report.read_text())} == {"features"}
