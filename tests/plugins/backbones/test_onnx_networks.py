"""Networks of others in ONNX: features and gradients in ONNX Runtime beside torch in float64.

The files are written by torch's two exporters, or node by node, as tf2onnx and older tools do.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper
from stylectl.backends.onnxruntime.backend import OnnxBackend
from stylectl.backends.onnxruntime.options import OnnxOptions
from stylectl.core.errors import BackendError, UsageError, WeightsError
from stylectl.plugins.backbones.onnx_file import OnnxFile, OnnxFileOptions
from torch import Tensor, nn
from torch.nn import functional

pytestmark = pytest.mark.subprocess

# Some ten operators in float32, each rounded by 6e-8, relative to the norm of the whole.
FLOAT32 = 5e-6
# Weights and activations in float16 are rounded by 5e-4, a few times.
FLOAT16 = 5e-3


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def opened(path: Path) -> OnnxFile:
    return OnnxFile(OnnxFileOptions(model=str(path), preprocessing="none"))


def distance(value: Tensor, reference: Tensor) -> float:
    assert value.shape == reference.shape
    return float((value.double() - reference).norm() / reference.norm())


def check(
    path: Path,
    layers: Sequence[str],
    network: Callable[[Tensor], Sequence[Tensor]],
    size: tuple[int, int] = (32, 48),
    tolerance: float = FLOAT32,
) -> OnnxFile:
    """The layers of the file are the values of the network (in float64), and so is the gradient."""
    backbone = opened(path)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, *size, generator=generator)
    leaf = image.double().requires_grad_()
    expected = network(leaf)
    cotangents = [
        torch.randn(value.shape, generator=generator) / value.norm().item() for value in expected
    ]
    (pulled,) = torch.autograd.grad(expected, leaf, [value.double() for value in cotangents])
    options = OnnxOptions(device="cpu", gradient="native")
    with OnnxBackend(backbone, layers, options) as backend:
        features, pullback = backend.vjp(image)
        gradient = pullback(dict(zip(layers, cotangents, strict=True)))
    for layer, value in zip(layers, expected, strict=True):
        assert distance(features[layer], value.detach()) < tolerance
    assert distance(gradient, pulled) < tolerance
    return backbone


class Decoder(nn.Module):
    """Maps that are made smaller and larger again, by each way that networks of others use."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.down = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.instance = nn.InstanceNorm2d(16, affine=True)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.wide = nn.Conv2d(8, 16, 1)
        self.slope = nn.PReLU(16)
        self.last = nn.Conv2d(4, 6, 3, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        first = functional.gelu(self.norm(self.first(image)))
        down = functional.elu(self.instance(self.down(first)))
        up = torch.relu(self.up(down) + first)
        rolled = torch.roll(up, (2, -3), (2, 3)) * up
        shuffled = functional.pixel_shuffle(self.slope(self.wide(rolled)), 2)
        resized = functional.interpolate(shuffled, scale_factor=0.5, mode="bilinear")
        return first, down, rolled, shuffled, torch.tanh(self.last(resized))


NAMES = ("first", "down", "rolled", "shuffled", "resized")


def exported(module: nn.Module, path: Path, *, dynamo: bool, **settings: Any) -> None:
    example = torch.rand(2, 3, 32, 48)
    sizes: dict[str, Any] = {"dynamic_axes": {"x": {0: "n", 2: "h", 3: "w"}}}
    if dynamo:
        any_size = torch.export.Dim.AUTO
        sizes = {"dynamic_shapes": ({0: any_size, 2: any_size, 3: any_size},)}
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(),
                (example,),
                str(path),
                dynamo=dynamo,
                input_names=["x"],
                verbose=False,
                **(sizes | settings),
            )
    finally:
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("dynamo", "opset"), [(False, 11), (False, 14), (False, 17), (True, 18), (True, 20)]
)
def test_torch_exporters(tmp_path: Path, dynamo: bool, opset: int) -> None:
    torch.manual_seed(0)
    module, path = Decoder(), tmp_path / "decoder.onnx"
    exported(module, path, dynamo=dynamo, opset_version=opset, output_names=list(NAMES))
    module.double()
    backbone = check(path, NAMES, module)
    check(path, NAMES, module, (50, 38))
    layers = {info.name: info for info in backbone.layers}
    assert (layers["down"].stride, layers["rolled"].stride) == (2, 1)
    # PixelShuffle gives four positions for a pixel: half a pixel apart.
    assert layers["shuffled"].exact_stride is not None
    assert (layers["shuffled"].stride, float(layers["shuffled"].exact_stride)) == (1, 0.5)
    assert layers["shuffled"].receptive_field is layers["rolled"].receptive_field is None
    assert "shuffled" not in backbone.default_style_layers


def weight(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    fan_in = torch.Size(shape[1:]).numel()
    return torch.randn(shape, generator=generator).div(fan_in**0.5)


def saved(
    path: Path,
    nodes: Sequence[NodeProto],
    constants: Mapping[str, Any],
    dims: Sequence[int | str | None] | None = ("n", 3, "h", "w"),
    opset: int = 13,
    ir_version: int = 8,
    name: str = "x",
    element: int = TensorProto.FLOAT,
) -> Path:
    """Write a model of these nodes, which begin at `name` and whose last output is its own."""
    tensors = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    inputs = [helper.make_tensor_value_info(name, element, dims)]
    if ir_version < 4:  # weights are inputs, too
        inputs += [
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            for tensor in tensors
        ]
    unknown = None if dims is None else [None] * 4
    output = helper.make_tensor_value_info(nodes[-1].output[0], element, unknown)
    graph = helper.make_graph(list(nodes), "network", inputs, [output], tensors)
    imports = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=ir_version), path)
    return path


FIRST, SECOND = weight(8, 3, 3, 3), weight(8, 8, 3, 3, seed=1)
BIAS = weight(8, seed=2)


def same(x: Tensor, kernel: Tensor, stride: int = 1) -> Tensor:
    """Convolution whose padding is larger at the end, as in TensorFlow."""
    total = [
        max(kernel.shape[2] - stride, 0)
        if size % stride == 0
        else max(kernel.shape[2] - size % stride, 0)
        for size in x.shape[2:]
    ]
    height, width = total
    padded = functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
    return functional.conv2d(padded, kernel, stride=stride)


@pytest.mark.parametrize("dims", [("n", None, None, 3), (1, 64, 48, 3), (None,) * 4, None])
def test_files_as_tf2onnx_writes_them(tmp_path: Path, dims: Any) -> None:
    """The channels are last, and so are those of layers between two transpositions."""
    node = helper.make_node
    nodes = [
        node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2]),
        node("Conv", ["first", "kernel", "bias"], ["conv"], pads=[1, 1, 1, 1]),
        node("Clip", ["conv", "low", "high"], ["relu6"]),
        node("Transpose", ["relu6"], ["last"], perm=[0, 2, 3, 1]),
        node("MatMul", ["last", "dense"], ["product"]),
        node("Tanh", ["product"], ["activation"]),
    ]
    dense = weight(5, 8, seed=3).T.contiguous()
    constants = {
        "kernel": 3 * FIRST,
        "bias": BIAS,
        "dense": dense,
        "low": np.float32(0),
        "high": np.float32(6),
    }
    path = saved(tmp_path / "keras.onnx", nodes, constants, dims, opset=15)

    def network(x: Tensor) -> tuple[Tensor, Tensor]:
        relu6 = functional.relu6(functional.conv2d(x, 3 * FIRST.double(), BIAS.double(), padding=1))
        return relu6, torch.tanh(relu6.permute(0, 2, 3, 1) @ dense.double()).permute(0, 3, 1, 2)

    backbone = check(path, ["relu6", "activation"], network)
    layers = {info.name: info for info in backbone.layers}
    assert (layers["relu6"].channels, layers["activation"].channels) == (8, 5)
    assert layers["activation"].receptive_field == 3


def half(tensor: Tensor) -> np.ndarray[Any, Any]:
    return tensor.half().numpy()


@pytest.mark.parametrize("element", [TensorProto.FLOAT16, TensorProto.FLOAT])
def test_files_in_half_precision(tmp_path: Path, element: int) -> None:
    node = helper.make_node
    # Smooth functions: where a rounding decides between two slopes, the gradient is another one.
    nodes = [
        node("Conv", ["x", "first", "bias"], ["conv1"], pads=[1, 1, 1, 1]),
        node("Softplus", ["conv1"], ["plus1"]),
        node("AveragePool", ["plus1"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["pool", "second"], ["conv2"], pads=[1, 1, 1, 1]),
        node("Sigmoid", ["conv2"], ["gate"]),
        node("Mul", ["conv2", "gate"], ["swish"]),
    ]
    if element == TensorProto.FLOAT:  # as converters keep the input and the output
        nodes[0].input[0] = "cast"
        nodes.insert(0, node("Cast", ["x"], ["cast"], to=TensorProto.FLOAT16))
        nodes.append(node("Cast", ["swish"], ["y"], to=TensorProto.FLOAT))
    constants = {"first": half(FIRST), "second": half(SECOND), "bias": half(BIAS)}
    path = saved(tmp_path / "half.onnx", nodes, constants, element=element)

    def network(x: Tensor) -> tuple[Tensor, Tensor]:
        first, second, bias = (tensor.half().double() for tensor in (FIRST, SECOND, BIAS))
        plus = functional.softplus(functional.conv2d(x, first, bias, padding=1))
        pooled = functional.avg_pool2d(plus, 2)
        return plus, functional.silu(functional.conv2d(pooled, second, padding=1))

    check(path, ["plus1", "swish"], network, tolerance=FLOAT16)


def test_files_of_opset_7_without_shapes(tmp_path: Path) -> None:
    """Weights are inputs, and what are inputs of operators today are attributes."""
    node = helper.make_node
    nodes = [
        node("Pad", ["x"], ["padded"], mode="reflect", pads=[0, 0, 1, 1, 0, 0, 1, 1]),
        node("Conv", ["padded", "first", "bias"], ["conv1"]),
        node("BatchNormalization", ["conv1", *"gbmv"], ["norm"], epsilon=1e-3),
        node("Relu", ["norm"], ["relu1"]),
        node("Dropout", ["relu1"], ["dropout"], ratio=0.5),
        node("AveragePool", ["dropout"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Slice", ["pool"], ["some"], axes=[1], starts=[1], ends=[9]),
        node("Upsample", ["some"], ["larger"], scales=[1.0, 1.0, 2.0, 2.0]),
        node("ReduceMean", ["larger"], ["mean"], axes=[2, 3], keepdims=0),
        node("Unsqueeze", ["mean"], ["mean4"], axes=[2, 3]),
        node("Mul", ["larger", "mean4"], ["gated"]),
        node("Clip", ["gated"], ["clipped"], min=-0.5, max=0.5),
        node("Flatten", ["clipped"], ["flat"]),
        node("Gemm", ["flat", "head", "bias"], ["scores"]),
    ]
    numbers = {key: 1 + weight(8, seed=4 + at) ** 2 for at, key in enumerate("gbmv")}
    constants = {"first": FIRST, "bias": BIAS, "head": weight(7 * 32 * 48, 8), **numbers}
    path = saved(tmp_path / "old.onnx", nodes, constants, None, opset=7, ir_version=3)

    def network(x: Tensor) -> tuple[Tensor, Tensor]:
        padded = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        conv = functional.conv2d(padded, FIRST.double(), BIAS.double())
        gamma, beta, mean, variance = (number.double() for number in numbers.values())
        norm = functional.batch_norm(conv, mean, variance, gamma, beta, eps=1e-3)
        relu = norm.relu()
        larger = functional.interpolate(functional.avg_pool2d(relu, 2)[:, 1:9], scale_factor=2)
        return relu, (larger * larger.mean((2, 3), keepdim=True)).clamp(-0.5, 0.5)

    backbone = check(path, ["relu1", "clipped"], network)
    assert "scores" not in {info.name for info in backbone.layers}


def test_names_like_those_of_stylectl(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "first", "bias"], ["image"], pads=[1, 1, 1, 1]),
        node("Relu", ["image"], ["d_relu1"]),
        node("Conv", ["d_relu1", "gradient/constant_1"], ["gradient/at/relu1"]),
        node("Relu", ["gradient/at/relu1"], ["relu1"]),
        node("Add", ["relu1", "stylectl/bias"], ["gradient/relu_1"]),
        node("Tanh", ["gradient/relu_1"], ["stylectl/prepared"]),
    ]
    constants = {
        "first": FIRST,
        "bias": BIAS,
        "gradient/constant_1": SECOND,
        "stylectl/bias": BIAS.reshape(-1, 1, 1),
    }
    path = saved(tmp_path / "names.onnx", nodes, constants)

    def network(x: Tensor) -> tuple[Tensor, ...]:
        first = functional.conv2d(x, FIRST.double(), BIAS.double(), padding=1)
        second = functional.conv2d(first.relu(), SECOND.double()).relu()
        return first, first.relu(), second, torch.tanh(second + BIAS.double().reshape(-1, 1, 1))

    names = ["other/image", "d_relu1", "relu1", "other/stylectl/prepared"]
    check(path, names, network)


@pytest.mark.parametrize("step", [torch.int8, torch.uint8])
def test_weights_of_eight_bits(tmp_path: Path, step: torch.dtype) -> None:
    """Each output channel has its scale, and uint8 a zero point; an Identity shares a weight."""
    node = helper.make_node
    zero = 0 if step == torch.int8 else 128
    scales = FIRST.abs().amax((1, 2, 3)) / 127
    integers = torch.round(FIRST / scales.reshape(-1, 1, 1, 1)) + zero
    points = torch.full((8,), zero, dtype=step)
    nodes = [
        node("DequantizeLinear", ["q", "scales", "points"], ["kernel"], axis=0),
        node("Identity", ["kernel"], ["shared"]),
        node("Conv", ["x", "shared"], ["conv"], strides=[2, 2]),
        node("Relu", ["conv"], ["relu1"]),
    ]
    constants = {"q": integers.to(step), "scales": scales, "points": points}
    path = saved(tmp_path / "int8.onnx", nodes, constants)
    kernel = (integers - zero).double() * scales.double().reshape(-1, 1, 1, 1)
    check(path, ["relu1"], lambda x: [functional.conv2d(x, kernel, stride=2).relu()])


def test_rounded_activations_are_refused(tmp_path: Path) -> None:
    """A rounding has the slope zero; a gradient without what lies before it would be wrong."""
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "first"], ["conv"]),
        node("QuantizeLinear", ["conv", "scale", "point"], ["q"]),
        node("DequantizeLinear", ["q", "scale", "point"], ["dq"]),
        node("Add", ["conv", "dq"], ["sum"]),
        node("Relu", ["sum"], ["relu1"]),
    ]
    constants = {"first": FIRST, "scale": np.float32(0.01), "point": np.int8(0)}
    backbone = opened(saved(tmp_path / "qdq.onnx", nodes, constants))
    with pytest.raises(BackendError, match=r"DequantizeLinear.*rounded"):
        OnnxBackend(backbone, ["relu1"], OnnxOptions(device="cpu", gradient="native"))
    check(backbone.path, ["conv"], lambda x: [functional.conv2d(x, FIRST.double())])


def sparse_tensor(name: str, location: str, offset: int, *shape: int) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
    tensor.data_location = TensorProto.EXTERNAL
    length = 4 * int(np.prod(shape))
    for key, value in {"location": location, "offset": offset, "length": length}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def test_files_of_more_than_2_gb(tmp_path: Path) -> None:
    """A head of 3 GB is not read, and weights behind it are; layers behind 3 GB are refused."""
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "first"], ["conv1"], pads=[1, 1, 1, 1]),
        node("Relu", ["conv1"], ["relu1"]),
        node("Conv", ["relu1", "huge"], ["conv2"]),
        node("Relu", ["conv2"], ["relu2"]),
    ]
    path = saved(tmp_path / "large.onnx", nodes[:2], {})
    model = onnx.load(path)
    model.graph.node.extend(nodes[2:])
    model.graph.output[0].name = "relu2"
    side, start = 9000, 3_000_000_000
    model.graph.initializer.append(sparse_tensor("huge", "w.bin", 0, side, side // 9, 3, 3))
    model.graph.initializer.append(sparse_tensor("first", "w.bin", start, side // 9, 3, 3, 3))
    kernel = weight(side // 9, 3, 3, 3)
    with (tmp_path / "w.bin").open("wb") as file:
        file.seek(start)
        file.write(kernel.numpy().tobytes())
    path.write_bytes(model.SerializeToString())
    network = lambda x: [functional.conv2d(x, kernel.double(), padding=1).relu()]  # noqa: E731
    with_head = len(model.graph.initializer)
    assert with_head == 2
    backbone = check(path, ["relu1"], network)
    assert [info.name for info in backbone.layers] == ["conv1", "relu1", "conv2", "relu2"]


def test_networks_for_one_size_say_which(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "patches"], ["embedded"], strides=[4, 4]),
        node("Reshape", ["embedded", "tokens"], ["sequence"]),
        node("Softmax", ["sequence"], ["attention"], axis=-1),
        node("Reshape", ["attention", "map"], ["maps"]),
        node("Relu", ["maps"], ["relu1"]),
    ]
    constants = {
        "patches": weight(8, 3, 4, 4),
        "tokens": np.array([1, 8, 96]),
        "map": np.array([1, 8, 8, 12]),
    }
    path = saved(tmp_path / "fixed.onnx", nodes, constants, (1, 3, 32, 48))
    backbone = opened(path)
    assert [info.name for info in backbone.layers] == ["embedded"]
    assert "48x32 px alone" in backbone.unusable["relu1"]
    assert "'sequence'" in backbone.unusable["relu1"]
    with pytest.raises(UsageError, match=r"relu1.*cannot be a layer.*48x32 px"):
        backbone.canonical("relu1")
    with pytest.raises(WeightsError, match="48x32 px alone"):
        opened(
            saved(
                tmp_path / "tiny.onnx",
                [node("Reshape", ["x", "one"], ["y"])],
                {"one": np.array([1, 3, 32, 48])},
                (1, 3, 32, 48),
            )
        )


def test_a_fixed_size_that_nothing_depends_on_is_no_limit(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["relu1"]),
    ]
    path = saved(tmp_path / "fixed.onnx", nodes, {"first": FIRST}, (8, 3, 224, 224))
    network = lambda x: [functional.conv2d(x, FIRST.double(), padding=1).relu()]  # noqa: E731
    check(path, ["relu1"], network, (33, 47))


def test_other_inputs_are_refused_with_what_they_are(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["relu1"])]
    double = saved(tmp_path / "double.onnx", nodes, {}, element=TensorProto.DOUBLE)
    with pytest.raises(WeightsError, match=r"float32 or float16, not \(n, 3, h, w\) of DOUBLE"):
        opened(double)
    gray = saved(tmp_path / "gray.onnx", nodes, {}, ("n", 28, 28, 1))
    with pytest.raises(WeightsError, match=r"not \(n, 28, 28, 1\) of FLOAT"):
        opened(gray)
