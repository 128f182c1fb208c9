"""OpenVINO: its numbers, its precisions, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from stylectl.backends.onnxruntime.backend import OnnxBackend
from stylectl.backends.onnxruntime.loading import Loader
from stylectl.backends.onnxruntime.models import cache_folder, open_models
from stylectl.backends.onnxruntime.options import OnnxOptions
from stylectl.backends.onnxruntime.providers import known
from stylectl.backends.onnxruntime.providers.finding import find_place
from stylectl.backends.onnxruntime.providers.packages import load_package
from stylectl.backends.onnxruntime.refusals import Trial
from stylectl.core.errors import BackendError
from stylectl.core.interfaces.backbone import Backbone
from stylectl.plugins.backbones.onnx_file import OnnxFile, OnnxFileOptions
from stylectl.plugins.backbones.vgg19 import VGG19, VGG19Options
from stylectl.testing import KinkedBackbone
from torch import Tensor

DEVICE = "openvino:CPU"


def usable() -> bool:
    try:
        find_place(DEVICE, "float32")
    except BackendError:
        return False
    return True


pytestmark = pytest.mark.skipif(not usable(), reason="OpenVINO and an Intel processor are needed")


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def opened(backbone: Backbone, layers: Sequence[str], **options: Any) -> OnnxBackend:
    return OnnxBackend(backbone, layers, OnnxOptions.model_validate({"device": DEVICE, **options}))


def picture(height: int = 37, width: int = 53) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def distance(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def file(path: Path, operator: str, **attributes: Any) -> Backbone:
    """An ONNX file: a convolution, the operator, and a rectifier, which is the layer `last`."""
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node(operator, ["conv"], ["inner"], **attributes),
        helper.make_node("Relu", ["inner"], ["last"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    last = helper.make_tensor_value_info("last", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        nodes, "network", [image], [last], [numpy_helper.from_array(weight, "w")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, path)
    return OnnxFile(OnnxFileOptions(model=str(path), preprocessing="none"))


def test_the_record_says_what_ran() -> None:
    backbone = KinkedBackbone()
    layers = [info.name for info in backbone.layers]
    with opened(backbone, layers) as backend:
        assert backend.device == torch.device("cpu")
        assert backend.details["provider"].startswith("OpenVINO ")
        assert " on the CPU " in backend.details["provider"]
        assert "on_the_cpu" not in backend.details


def test_float32_is_float32_and_other_precisions_are_what_they_say() -> None:
    backbone, layers = VGG19(VGG19Options()), ["relu1_1", "relu3_1"]
    with OnnxBackend(backbone, layers, OnnxOptions(device="cpu")) as reference:
        expected = reference.features(picture())
    precisions = known.KNOWN["openvino"].precisions(find_place(DEVICE, "float32").hardware)
    # One rounding to 8 or 11 bits is by 2e-3 or 2e-4 on average; of float32 by 1e-7.
    for precision, least, most in (
        ("float32", 0.0, 5e-6),
        ("bf16", 1e-3, 2e-2),
        ("fp16", 1e-4, 3e-3),
    ):
        if precision in precisions:
            with opened(backbone, layers, precision=precision) as backend:
                features = backend.features(picture())
            for layer in layers:
                assert least <= distance(features[layer], expected[layer]) <= most, precision


def test_a_precision_that_it_lacks_is_refused() -> None:
    with pytest.raises(BackendError, match=r"computes in float32.*, not in tf32"):
        find_place(DEVICE, "tf32")


def test_hardware_that_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(BackendError, match=r"no device openvino:7: OpenVINO can use 0: CPU"):
        find_place("openvino:7", "float32")


def test_the_same_provider_by_its_own_name() -> None:
    place = find_place(DEVICE, "float32")
    assert find_place("ep:openvino:CPU", "float32") == place
    assert find_place("ep:OpenVINOExecutionProvider:0", "float32") == place


def test_the_check_of_a_network_runs_on_the_provider_itself(
    empty_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "bf16" not in known.KNOWN["openvino"].precisions(find_place(DEVICE, "float32").hardware):
        pytest.skip("this processor has no bf16")
    opened(KinkedBackbone(), ["relu2_1"]).close()  # kept for other options, not for these
    honest = known._openvino_options
    monkeypatch.setattr(
        "stylectl.backends.onnxruntime.providers.named.KNOWN",
        {
            **known.KNOWN,
            "openvino": dataclasses.replace(
                known.KNOWN["openvino"],
                options=lambda precision, hardware: honest("bf16", hardware),
            ),
        },
    )
    with pytest.raises(BackendError, match=r"what ONNX Runtime computes differs"):
        opened(KinkedBackbone(), ["relu2_1"])


@pytest.mark.subprocess  # a file is inspected in a process of its own
def test_a_files_features_are_compared_with_those_on_the_cpu(
    empty_cache: None, tmp_path: Path
) -> None:
    opened(file(tmp_path / "a.onnx", "Elu"), ["last"]).close()
    reports = [json.loads(path.read_text()) for path in cache_folder().glob("checked/*/*.json")]
    kinds = {frozenset(name.partition(" ")[0] for name in report) for report in reports}
    assert kinds == {frozenset({"features", "gradient"}), frozenset({"differences"})}


@pytest.mark.subprocess
def test_operators_that_it_refuses_run_on_the_cpu_and_are_named(
    empty_cache: None, tmp_path: Path
) -> None:
    backbone = file(tmp_path / "a.onnx", "LpPool", kernel_shape=[2, 2])
    with opened(backbone, ["last"]) as backend:
        assert "1 of 3 nodes of the network (LpPool)" in backend.details["on_the_cpu"]
        got = backend.features(picture())["last"]
    with OnnxBackend(backbone, ["last"], OnnxOptions(device="cpu")) as reference:
        assert distance(got, reference.features(picture())["last"]) < 1e-6


def test_a_model_that_it_cannot_compile_runs_on_the_cpu_and_is_named() -> None:
    """Those with two ways of a convolution: OpenVINO fails at the branches of the gradient."""
    backbone, layers = VGG19(VGG19Options()), ["relu1_1", "relu3_1", "relu4_2"]
    with open_models(backbone, layers, half=False, on_cpu=True, convolution="auto") as models:
        loader = Loader(find_place(DEVICE, "float32"), models.key, fresh=True)
        tried = Trial(loader, models, layers, half=False, smallest_side=16).load(native=True)
        assert "the gradient, because of: ONNX Runtime cannot load the model" in tried.refusals
        assert tried.backward is not None
        assert set(tried.backward.operators()) == {"CPUExecutionProvider"}


def test_a_library_is_registered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(onnxruntime.get_ep_devices())
    (tmp_path / "onnxruntime_ep_another_name.py").write_text(
        "from onnxruntime_ep_openvino import get_ep_name, get_library_path"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("onnxruntime_ep_openvino", "onnxruntime_ep_another_name"):
        assert load_package(module).unusable == ""
    assert len(onnxruntime.get_ep_devices()) == before
