"""Convolutions by Winograd's algorithm in ONNX Runtime, against torch's in float64."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from stylectl.backends.accuracy.exact import ExactBackend
from stylectl.backends.onnx_export.export import export_trunk
from stylectl.backends.onnx_gradient import differentiate
from stylectl.backends.onnxruntime.backend import OnnxBackend
from stylectl.backends.onnxruntime.models import open_models
from stylectl.backends.onnxruntime.options import OnnxOptions
from stylectl.backends.onnxruntime.winograd_rewrite import with_winograd
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.backends.pytorch.options import TorchOptions
from stylectl.core.interfaces.backbone import Backbone
from stylectl.core.interfaces.backend import FeatureBackend
from stylectl.plugins.backbones.vgg19 import VGG19, VGG19Options
from torch import Tensor
from torch.nn import functional

Convolution = Literal["auto", "direct"]
Array = np.ndarray[Any, Any]

#: The transforms multiply by up to 8 in each direction and divide again: a few tens of float32's
#: 6e-8, and that of sums of hundreds of products.
CLOSE = 1e-5

LAYERS = ("relu1_1", "relu3_1", "relu4_2")


def values(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def off(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def convolution(
    *kernel: int, bias: bool = False, constant: bool = True, channels: int = 0, **attributes: Any
) -> onnx.ModelProto:
    """A model of one convolution, from `x` (N, C, H, W) to `y`, with a kernel (K, C, ...)."""
    names = ["x", "w", "b"] if bias else ["x", "w"]
    weights = {"w": values(*kernel, seed=1), "b": values(kernel[0], seed=2)}
    inputs = {"x": ["N", channels or kernel[1], "H", "W"]} | ({} if constant else {"w": kernel})
    graph = helper.make_graph(
        [helper.make_node("Conv", names, ["y"], "convolution", **attributes)],
        "convolution",
        [helper.make_tensor_value_info(*each) for each in _floats(inputs)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", kernel[0], None, None])],
        [numpy_helper.from_array(weights[name], name) for name in names[1:] if name not in inputs],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _floats(inputs: Mapping[str, Any]) -> list[tuple[str, int, Any]]:
    return [(name, TensorProto.FLOAT, dims) for name, dims in inputs.items()]


def session(model: onnx.ModelProto, **given: Any) -> Any:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    for name, value in given.items():
        setattr(options, name, value)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 2),
    channels=st.sampled_from([(128, 256), (256, 128)]),
    # On either side of the number of tiles from which on Winograd's way is taken.
    height=st.integers(3, 40),
    width=st.integers(3, 40),
    padding=st.integers(0, 2),
    bias=st.booleans(),
)
def test_it_is_the_convolution(
    batch: int, channels: tuple[int, int], height: int, width: int, padding: int, bias: bool
) -> None:
    model = with_winograd(convolution(*channels, 3, 3, bias=bias, pads=[padding] * 4))
    x = values(batch, channels[1], height, width)
    (got,) = session(model).run(None, {"x": x})
    kernel = torch.from_numpy(values(*channels, 3, 3, seed=1)).double()
    shift = torch.from_numpy(values(channels[0], seed=2)).double() if bias else None
    expected = functional.conv2d(torch.from_numpy(x).double(), kernel, shift, padding=padding)
    assert got.shape == expected.shape
    assert off(torch.from_numpy(got), expected) <= CLOSE


@pytest.mark.parametrize(
    ("batch", "height", "width", "fast"),
    [(1, 13, 16, True), (1, 4, 61, True), (1, 12, 20, False), (2, 40, 40, False)],
)
def test_a_small_image_and_a_batch_are_convolved_directly(
    tmp_path: Path, batch: int, height: int, width: int, fast: bool
) -> None:
    model = with_winograd(convolution(128, 256, 3, 3, pads=[1] * 4))
    profiled = session(
        model, enable_profiling=True, profile_file_prefix=str(tmp_path / "operators")
    )
    profiled.run(None, {"x": values(batch, 256, height, width)})
    events = json.loads(Path(profiled.end_profiling()).read_text())
    ran = {each["args"].get("op_name") for each in events if "args" in each}
    assert ("DepthToSpace" in ran) == fast


@pytest.mark.parametrize(
    "model",
    [
        convolution(256, 128, 3, 3, strides=[2, 2], pads=[1] * 4),
        convolution(256, 128, 3, 3, dilations=[2, 2], pads=[1] * 4),
        convolution(256, 128, 3, 3, group=2, channels=256, pads=[1] * 4),
        convolution(256, 128, 3, 3, pads=[0, 0, 1, 1]),
        convolution(256, 128, 3, 3, pads=[3] * 4),
        convolution(256, 128, 3, 3, auto_pad="SAME_UPPER"),
        convolution(256, 128, 5, 5, pads=[2] * 4),
        convolution(256, 128, 1, 1),
        convolution(256, 64, 3, 3, pads=[1] * 4),
        convolution(128, 128, 3, 3, pads=[1] * 4),
        convolution(256, 128, 3, 3, constant=False, pads=[1] * 4),
    ],
    ids=lambda model: str([each.name for each in model.graph.node[0].attribute]),
)
def test_others_are_left_as_they_are(model: onnx.ModelProto) -> None:
    session(model)  # it is a valid one
    assert with_winograd(model) == model


def test_the_transformed_kernel_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "optimized.onnx"
    session(
        with_winograd(convolution(256, 256, 3, 3, pads=[1] * 4)),
        optimized_model_filepath=str(path),
    )
    # The kernel itself; the rest are nodes and the maps from and to tiles.
    assert path.stat().st_size < 4 * 256 * 256 * 9 + 50_000


def backend(backbone: Backbone, convolution: Convolution, gradient: str = "auto") -> OnnxBackend:
    options = {"device": "cpu", "convolution": convolution, "gradient": gradient}
    return OnnxBackend(backbone, LAYERS, OnnxOptions.model_validate(options))


def picture() -> Tensor:
    return torch.rand(1, 3, 200, 300, generator=torch.Generator().manual_seed(0))


def computed(backend: FeatureBackend) -> tuple[dict[str, Tensor], Tensor]:
    """The features, and a gradient."""
    with backend:
        features, pullback = backend.vjp(picture())
        generator = torch.Generator().manual_seed(1)
        cotangents = {
            name: torch.randn(each.shape, generator=generator) / each.numel()
            for name, each in features.items()
        }
        return dict(features), pullback(cotangents)


@pytest.mark.parametrize("padding", ["zeros", "reflect", "circular"])
def test_vgg19_is_as_accurate_as_the_direct_way(padding: str) -> None:
    network = VGG19(VGG19Options.model_validate({"padding": padding}))
    exact_features, exact = computed(ExactBackend(network, LAYERS))
    fast_features, fast = computed(backend(network, "auto"))
    _, direct = computed(backend(network, "direct"))
    for layer in LAYERS:
        assert off(fast_features[layer], exact_features[layer]) <= CLOSE
    # The gradient jumps where rounding turns a rectifier or a maximum over, in direct convolutions
    # as well: most of either distance to float64 is that. Four times the rounding turns a few more
    # over.
    assert off(fast, exact) <= off(direct, exact) + 5e-4
    assert not torch.equal(fast, direct)


def test_what_onnx_runtime_has_optimised_and_saved_computes_the_same() -> None:
    network = VGG19(VGG19Options())
    first, *later = (computed(backend(network, "auto"))[1] for _ in range(3))
    # The first may be run as it was made; the others are as the second has saved it.
    assert off(later[0], first) <= CLOSE
    assert torch.equal(*later)


def files(network: Backbone, convolution: Convolution, on_cpu: bool) -> tuple[str, bytes, bytes]:
    """The models' key, and what is in them."""
    with open_models(network, LAYERS, half=False, on_cpu=on_cpu, convolution=convolution) as models:
        assert models.backward
        return models.key, models.forward.read_bytes(), models.backward.read_bytes()


@pytest.mark.parametrize(
    ("convolution", "on_cpu"), [("direct", True), ("direct", False), ("auto", False)]
)
def test_where_it_is_not_wanted_models_are_as_the_differentiator_makes_them(
    convolution: Convolution, on_cpu: bool
) -> None:
    network = VGG19(VGG19Options())
    plain = differentiate(export_trunk(network.trunk(LAYERS), network, LAYERS), on_cpu=on_cpu)
    key, forward, backward = files(network, convolution, on_cpu)
    assert forward == plain.forward.SerializeToString()
    assert backward == plain.backward.SerializeToString()
    assert key != files(network, "auto", True)[0]


def test_a_gradient_by_torch_has_the_same_convolutions() -> None:
    network = VGG19(VGG19Options())
    gradients = {}
    for convolution in ("auto", "direct"):
        options = TorchOptions.model_validate({"device": "cpu", "convolution": convolution})
        _, expected = computed(TorchBackend(network, LAYERS, options))
        _, got = computed(backend(network, options.convolution, gradient="torch"))
        assert torch.equal(got, expected)
        gradients[convolution] = got
    assert not torch.equal(gradients["auto"], gradients["direct"])
