"""Each rule of the differentiator against torch.autograd in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from stylectl.backends.onnx_gradient import NoGradientError, cotangent_name, differentiate
from torch import Tensor
from torch.nn import functional

Function = Callable[[Tensor], Tensor]
Array = np.ndarray[Any, Any]

# ONNX Runtime's kernels for the CPU are float32. An element is a sum of at most some hundred
# products here, each rounded by 6e-8: a few times that, relative to the norm of the whole.
FLOAT32 = 2e-6

DYNAMIC = ("N", 4, "H", "W")


def values(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def integers(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def build(
    nodes: list[onnx.NodeProto],
    constants: Mapping[str, Array] = {},
    dims: tuple[int | str | None, ...] = DYNAMIC,
    opset: int = 18,
    output_rank: int | None = None,
    element: int = onnx.TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model from `image` to `out`."""
    rank = len(dims) if output_rank is None else output_rank
    graph = helper.make_graph(
        nodes,
        "forward",
        [helper.make_tensor_value_info("image", element, dims)],
        [helper.make_tensor_value_info("out", element, [None] * rank)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def run(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    wanted = {each.name for each in session.get_inputs()}
    names = [each.name for each in session.get_outputs()]
    found = session.run(names, {key: each for key, each in inputs.items() if key in wanted})
    return dict(zip(names, found, strict=True))


def gradient(
    model: onnx.ModelProto, image: Array, cotangent: Array, on_cpu: bool
) -> tuple[Array, Array]:
    models = differentiate(model, on_cpu=on_cpu)
    forward = run(models.forward, {"image": image})
    given = forward | {"image": image, cotangent_name("out"): cotangent}
    return forward["out"], run(models.backward, given)["d_image"]


def error(got: Array, expected: Tensor) -> float:
    wanted = expected.detach().double().numpy()
    assert got.shape == wanted.shape
    scale = float(np.linalg.norm(wanted)) or 1.0
    return float(np.linalg.norm(got.astype(np.float64) - wanted)) / scale


def check(
    model: onnx.ModelProto,
    function: Function,
    *shape: int,
    image: Array | None = None,
    tolerance: float = FLOAT32,
) -> None:
    """The model is the function, and so is its gradient."""
    image = values(*shape) if image is None else image
    leaf = torch.from_numpy(image).double().requires_grad_()
    expected = function(leaf)
    cotangent = values(*expected.shape, seed=1)
    (pulled,) = torch.autograd.grad(expected, leaf, torch.from_numpy(cotangent).double())
    for on_cpu in (True, False):
        output, found = gradient(model, image, cotangent.astype(image.dtype), on_cpu)
        assert error(output, expected) < tolerance
        assert error(found, pulled) < tolerance


def node(operator: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, ["image", *inputs], ["out"], "tested", **attributes)


def double(array: Array) -> Tensor:
    return torch.from_numpy(np.asarray(array)).double()


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 2, 4]),
    size=st.tuples(st.integers(7, 12), st.integers(7, 12)),
)
def test_convolution(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    size: tuple[int, int],
) -> None:
    weight, bias = values(8, 4 // groups, *kernel), values(8, seed=2)
    tested = node(
        "Conv",
        "weight",
        "bias",
        strides=stride,
        pads=padding * 2,
        dilations=dilation,
        group=groups,
        kernel_shape=kernel,
    )
    check(
        build([tested], {"weight": weight, "bias": bias}),
        lambda x: functional.conv2d(
            x, double(weight), double(bias), stride, padding, dilation, groups
        ),
        2,
        4,
        *size,
    )


@pytest.mark.parametrize("pads", [[0, 1, 2, 0], [1, 0, 0, 3]])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_with_uneven_padding(pads: list[int], stride: int) -> None:
    weight = values(5, 4, 3, 3)
    tested = node("Conv", "weight", pads=pads, strides=[stride, stride])
    top, left, bottom, right = pads
    check(
        build([tested], {"weight": weight}),
        lambda x: functional.conv2d(
            functional.pad(x, (left, right, top, bottom)), double(weight), stride=stride
        ),
        1,
        4,
        9,
        8,
    )


ACTIVATIONS: list[tuple[str, dict[str, Any], Function]] = [
    ("Relu", {}, torch.relu),
    ("LeakyRelu", {"alpha": 0.2}, lambda x: functional.leaky_relu(x, 0.2)),
    ("LeakyRelu", {"alpha": 0.0}, torch.relu),
    ("LeakyRelu", {"alpha": -0.5}, lambda x: functional.leaky_relu(x, -0.5)),
    ("Sigmoid", {}, torch.sigmoid),
    ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, functional.hardsigmoid),
    ("HardSigmoid", {"alpha": 2.0, "beta": 0.25}, lambda x: (2 * x + 0.25).clamp(0, 1)),
    ("HardSwish", {}, functional.hardswish),
    ("Erf", {}, torch.erf),
    ("Tanh", {}, torch.tanh),
    ("Softplus", {}, functional.softplus),
    ("Exp", {}, torch.exp),
    ("Neg", {}, torch.neg),
    ("Identity", {}, lambda x: x * 1),
    ("Dropout", {}, lambda x: x * 1),
]


@pytest.mark.parametrize(("operator", "attributes", "function"), ACTIVATIONS)
def test_functions_of_single_elements(
    operator: str, attributes: dict[str, Any], function: Function
) -> None:
    check(build([node(operator, **attributes)]), function, 2, 4, 5, 7)


def test_logarithm() -> None:
    check(build([node("Log")]), torch.log, image=np.abs(values(2, 4, 5, 7)) + np.float32(0.5))


@pytest.mark.parametrize("first", [True, False])
def test_a_choice_between_values(first: bool) -> None:
    other = values(4, 1, 7, seed=5)
    nodes = [
        helper.make_node("Greater", ["image", "other"], ["larger"]),
        helper.make_node("Tanh", ["image"], ["curved"]),
        helper.make_node(
            "Where", ["larger", *(("curved", "other") if first else ("other", "curved"))], ["out"]
        ),
    ]

    def expected(x: Tensor) -> Tensor:
        chosen = (x.tanh(), double(other)) if first else (double(other), x.tanh())
        return torch.where(x > double(other), *chosen)

    check(build(nodes, {"other": other}), expected, 2, 4, 5, 7)


def test_a_rectifier_at_zero_gives_nothing() -> None:
    image = np.array([-1.0, 0.0, -0.0, 1.0], np.float32).reshape(1, 4, 1, 1)
    check(build([node("Relu")]), torch.relu, image=image)


def clipped(x: Tensor, low: float | None, high: float | None) -> Tensor:
    """Clip, with a gradient of 1 on the bounds; that of torch.clamp depends on torch's version."""
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    return torch.where((x < low) | (x > high), x.detach().clamp(low, high), x)


@pytest.mark.parametrize(("low", "high"), [(-0.5, 0.5), (None, 0.5), (-0.5, None), (None, None)])
def test_clip(low: float | None, high: float | None) -> None:
    image = values(1, 4, 5, 5)
    image[0, 0, 0, :2] = -0.5, 0.5  # on the bounds
    bounds = {"low": low, "high": high}
    constants = {
        key: np.array(value, np.float32) for key, value in bounds.items() if value is not None
    }
    model = build([node("Clip", *(key if key in constants else "" for key in bounds))], constants)
    check(model, lambda x: clipped(x, low, high), image=image)


def test_clip_as_before_opset_11() -> None:
    model = build([node("Clip", min=-0.5, max=0.25)], opset=10)
    check(model, lambda x: clipped(x, -0.5, 0.25), 1, 4, 5, 5)


def test_cast_there_and_back() -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["half"], to=onnx.TensorProto.FLOAT16),
        helper.make_node("Mul", ["half", "two"], ["product"]),
        helper.make_node("Cast", ["product"], ["out"], to=onnx.TensorProto.FLOAT),
    ]
    # Half precision keeps 11 bits; image and gradient are rounded once each.
    model = build(nodes, {"two": np.array(2, np.float16)})
    check(model, lambda x: x * 2, 1, 4, 5, 5, tolerance=5e-4)


SHAPES: list[tuple[int, ...]] = [(), (1,), (7,), (5, 1), (4, 1, 1), (4, 5, 7), (2, 1, 5, 1)]
ARITHMETIC: list[tuple[str, Callable[[Tensor, Tensor], Tensor]]] = [
    ("Add", torch.add),
    ("Sub", torch.sub),
    ("Mul", torch.mul),
    ("Div", torch.div),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("operator", "function"), ARITHMETIC)
@pytest.mark.parametrize("first", [True, False])
def test_arithmetic_with_constants(
    operator: str,
    function: Callable[[Tensor, Tensor], Tensor],
    shape: tuple[int, ...],
    first: bool,
) -> None:
    other = np.asarray(values(*shape, seed=3) + np.float32(5))
    image = np.abs(values(2, 4, 5, 7)) + np.float32(1)
    order = ["image", "other"] if first else ["other", "image"]
    model = build([helper.make_node(operator, order, ["out"])], {"other": other})

    def expected(x: Tensor) -> Tensor:
        return function(x, double(other)) if first else function(double(other), x)

    check(model, expected, image=image)


def test_an_image_that_is_broadcast_itself() -> None:
    other = values(3, 4, 5, 7)
    model = build([node("Mul", "other")], {"other": other}, dims=(1, 4, 1, 7))
    check(model, lambda x: x * double(other), 1, 4, 1, 7)
    sizes_that_turn_out_to_be_one = build([node("Mul", "other")], {"other": other})
    check(sizes_that_turn_out_to_be_one, lambda x: x * double(other), 1, 4, 1, 7)
    check(sizes_that_turn_out_to_be_one, lambda x: x * double(other), 3, 4, 5, 7)


@pytest.mark.parametrize(("operator", "function"), ARITHMETIC)
def test_arithmetic_of_two_values_that_depend_on_the_image(
    operator: str, function: Callable[[Tensor, Tensor], Tensor]
) -> None:
    nodes = [
        helper.make_node("Sigmoid", ["image"], ["left"]),
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=1),
        helper.make_node("Softplus", ["mean"], ["right"]),
        helper.make_node(operator, ["left", "right"], ["out"]),
    ]
    model = build(nodes, {"axes": integers(2, 3)})

    def expected(x: Tensor) -> Tensor:
        return function(x.sigmoid(), functional.softplus(x.mean((2, 3), keepdim=True)))

    check(model, expected, 2, 4, 5, 7)


POOLS = {
    "kernel": st.tuples(st.integers(1, 3), st.integers(1, 3)),
    "stride": st.tuples(st.integers(1, 4), st.integers(1, 4)),
    "padded": st.tuples(st.booleans(), st.booleans()),
    "size": st.tuples(st.integers(4, 9), st.integers(4, 9)),
    "ceil": st.booleans(),
}


def pool_padding(kernel: tuple[int, int], padded: tuple[bool, bool]) -> tuple[int, int]:
    """torch allows half the kernel."""
    high, wide = (size // 2 if wanted else 0 for size, wanted in zip(kernel, padded, strict=True))
    return high, wide


@settings(max_examples=50, deadline=None)
@given(**POOLS, levels=st.sampled_from([2, 1000]))
def test_max_pooling_with_ties(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padded: tuple[bool, bool],
    size: tuple[int, int],
    ceil: bool,
    levels: int,
) -> None:
    padding = pool_padding(kernel, padded)
    tested = node(
        "MaxPool", kernel_shape=kernel, strides=stride, pads=padding * 2, ceil_mode=int(ceil)
    )
    image = np.random.default_rng(0).integers(levels, size=(2, 4, *size)).astype(np.float32)
    check(
        build([tested]),
        lambda x: functional.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil),
        image=image,
    )


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(2, 2, 0), (3, 2, 1), (2, 3, 0)])
def test_max_pooling_of_a_rectifier(kernel: int, stride: int, pad: int, shared: bool) -> None:
    nodes = [
        helper.make_node("Relu", ["image"], ["relu"]),
        helper.make_node(
            "MaxPool",
            ["relu"],
            ["pool"],
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[pad] * 4,
        ),
        helper.make_node("GlobalAveragePool", ["relu" if shared else "pool"], ["mean"]),
        helper.make_node("Mul", ["pool", "mean"], ["out"]),
    ]

    def expected(x: Tensor) -> Tensor:
        relu = x.relu()
        pool = functional.max_pool2d(relu, kernel, stride, pad)
        return pool * (relu if shared else pool).mean((2, 3), keepdim=True)

    # Whole windows are below zero: nothing passes there.
    image = values(2, 4, 9, 8)
    image[:, :2] -= 3
    check(build(nodes), expected, image=image)


def test_max_pooling_with_dilation() -> None:
    tested = node("MaxPool", kernel_shape=[2, 3], dilations=[2, 1], strides=[2, 2])
    check(build([tested]), lambda x: functional.max_pool2d(x, (2, 3), 2, 0, (2, 1)), 2, 4, 8, 9)


@settings(max_examples=50, deadline=None)
@given(**POOLS, include=st.booleans())
def test_average_pooling(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padded: tuple[bool, bool],
    size: tuple[int, int],
    ceil: bool,
    include: bool,
) -> None:
    padding = pool_padding(kernel, padded)
    tested = node(
        "AveragePool",
        kernel_shape=kernel,
        strides=stride,
        pads=padding * 2,
        ceil_mode=int(ceil),
        count_include_pad=int(include),
    )
    check(
        build([tested], opset=19),
        lambda x: functional.avg_pool2d(x, kernel, stride, padding, ceil, include),
        2,
        4,
        *size,
    )


def test_global_average_pooling() -> None:
    check(build([node("GlobalAveragePool")]), lambda x: x.mean((2, 3), keepdim=True), 2, 4, 5, 7)


@pytest.mark.parametrize("operator", ["ReduceMean", "ReduceSum"])
@pytest.mark.parametrize("axes", [None, (1,), (2, 3), (-1,), (0, 1, 2, 3)])
@pytest.mark.parametrize("keep", [True, False])
def test_sums_and_means(operator: str, axes: tuple[int, ...] | None, keep: bool) -> None:
    constants = {} if axes is None else {"axes": integers(*axes)}
    over = (0, 1, 2, 3) if axes is None else axes
    model = build(
        [node(operator, *constants, keepdims=int(keep))],
        constants,
        output_rank=4 if keep else 4 - len(over),
    )

    def expected(x: Tensor) -> Tensor:
        return (x.mean if operator == "ReduceMean" else x.sum)(over, keepdim=keep)

    check(model, expected, 2, 4, 5, 7, tolerance=1e-5)  # a mean of 280 numbers may be near zero


def test_a_mean_as_before_opset_18() -> None:
    model = build([node("ReduceMean", axes=[2, 3], keepdims=0)], opset=13, output_rank=2)
    check(model, lambda x: x.mean((2, 3)), 2, 4, 5, 7)


def test_batch_normalization() -> None:
    scale, shift, mean = (values(4, seed=seed) for seed in (1, 2, 3))
    variance = np.abs(values(4, seed=4))
    constants = {"scale": scale, "shift": shift, "mean": mean, "variance": variance}
    model = build([node("BatchNormalization", *constants, epsilon=1e-3)], constants)

    def expected(x: Tensor) -> Tensor:
        return functional.batch_norm(
            x, double(mean), double(variance), double(scale), double(shift), eps=1e-3
        )

    check(model, expected, 2, 4, 5, 7)


@pytest.mark.parametrize("axis", [-1, -2, 1])
def test_layer_normalization(axis: int) -> None:
    shape = (4, 5, 7)[axis if axis < 0 else axis - 1 :]
    scale, shift = values(*shape, seed=1), values(*shape, seed=2)
    tested = node("LayerNormalization", "scale", "shift", axis=axis, epsilon=1e-3)
    model = build([tested], {"scale": scale, "shift": shift})

    def expected(x: Tensor) -> Tensor:
        return functional.layer_norm(x, shape, double(scale), double(shift), eps=1e-3)

    check(model, expected, 2, 4, 5, 7)


@pytest.mark.parametrize(("axis", "index"), [(1, 0), (1, 2), (-1, -2), (2, 4)])
def test_one_position_of_an_axis(axis: int, index: int) -> None:
    model = build([node("Gather", "index", axis=axis)], {"index": np.array(index)}, output_rank=3)
    check(model, lambda x: x.select(axis, index), 2, 4, 5, 7)


@pytest.mark.parametrize("axis", [1, -1, 2])
def test_concat(axis: int) -> None:
    nodes = [
        helper.make_node("Sigmoid", ["image"], ["left"]),
        helper.make_node("Shape", ["image"], ["shape"]),
        helper.make_node("Expand", ["one", "shape"], ["ones"]),
        helper.make_node("Tanh", ["image"], ["right"]),
        helper.make_node("Concat", ["left", "ones", "right"], ["out"], axis=axis),
    ]
    model = build(nodes, {"one": np.ones(1, np.float32)})
    check(
        model,
        lambda x: torch.cat([x.sigmoid(), torch.ones_like(x), x.tanh()], axis),
        2,
        4,
        5,
        7,
    )


SLICES: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...] | None, Any]] = [
    ((1,), (3,), (1,), np.s_[:, 1:3]),
    ((1, -4), (99, -1), (2, -1), np.s_[:, :, 1:, -4:-1]),
    ((0, 0, 1), (9, 2, 4), None, np.s_[:, :2, 1:4]),
]


@pytest.mark.parametrize(("starts", "ends", "axes", "taken"), SLICES)
def test_slices(
    starts: tuple[int, ...], ends: tuple[int, ...], axes: tuple[int, ...] | None, taken: Any
) -> None:
    constants = {"starts": integers(*starts), "ends": integers(*ends)}
    constants |= {} if axes is None else {"axes": integers(*axes)}
    check(build([node("Slice", *constants)], constants), lambda x: x[taken], 2, 4, 5, 7)


@pytest.mark.parametrize("steps", [(1, 1), (2, 3), (1, 2)])
def test_slices_with_steps(steps: tuple[int, int]) -> None:
    constants = {
        "starts": integers(1, 0),
        "ends": integers(99, -1),
        "axes": integers(-2, 3),
        "steps": integers(*steps),
    }
    model = build([node("Slice", *constants)], constants)
    check(model, lambda x: x[:, :, 1 :: steps[0], 0 : -1 : steps[1]], 2, 4, 6, 8)


def test_a_slice_backwards() -> None:
    constants = {
        "starts": integers(-1),
        "ends": integers(-(2**31)),
        "axes": np.array([3], np.int64),
        "steps": integers(-1),
    }
    check(build([node("Slice", *constants)], constants), lambda x: x.flip(3), 1, 4, 3, 5)


@settings(max_examples=30, deadline=None)
@given(
    mode=st.sampled_from(["constant", "reflect", "edge", "wrap"]),
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    size=st.tuples(st.integers(4, 8), st.integers(4, 8)),
)
def test_padding(mode: str, pads: tuple[int, int, int, int], size: tuple[int, int]) -> None:
    top, left, bottom, right = pads
    constants = {"pads": integers(0, 0, top, left, 0, 0, bottom, right)}
    torch_mode = {"edge": "replicate", "wrap": "circular"}.get(mode, mode)
    check(
        build([node("Pad", "pads", mode=mode)], constants, opset=19),
        lambda x: functional.pad(x, (left, right, top, bottom), torch_mode),
        1,
        4,
        *size,
    )


def test_padding_of_some_axes_and_by_less_than_nothing() -> None:
    constants = {"pads": integers(-1, 2), "value": np.array(3, np.float32), "axes": integers(-1)}
    model = build([node("Pad", *constants)], constants)
    check(model, lambda x: functional.pad(x, (-1, 2), value=3), 1, 4, 5, 6)


RESIZES: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
     {"mode": "nearest"}),
    ({"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
     {"mode": "bilinear", "align_corners": False}),
    ({"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
     {"mode": "bilinear", "align_corners": False}),
    ({"mode": "linear", "coordinate_transformation_mode": "align_corners"},
     {"mode": "bilinear", "align_corners": True}),
]  # fmt: skip


@pytest.mark.parametrize(("attributes", "options"), RESIZES)
@pytest.mark.parametrize("factors", [(2.0, 2.0), (3.0, 1.0), (0.5, 0.5)])
def test_resizing_by_factors(
    attributes: dict[str, str], options: dict[str, Any], factors: tuple[float, float]
) -> None:
    constants = {"factors": np.array([1, 1, *factors], np.float32)}
    model = build([node("Resize", "", "factors", **attributes)], constants)
    check(model, lambda x: functional.interpolate(x, scale_factor=factors, **options), 2, 4, 6, 8)


@pytest.mark.parametrize(("attributes", "options"), RESIZES)
@pytest.mark.parametrize("size", [(9, 5), (6, 8), (3, 17)])
def test_resizing_to_sizes(
    attributes: dict[str, str], options: dict[str, Any], size: tuple[int, int]
) -> None:
    nodes = [
        helper.make_node("Shape", ["image"], ["shape"], end=2),
        helper.make_node("Concat", ["shape", "size"], ["sizes"], axis=0),
        node("Resize", "", "", "sizes", **attributes),
    ]
    model = build(nodes, {"size": integers(*size)})
    check(model, lambda x: functional.interpolate(x, size=size, **options), 2, 4, 6, 8)


def test_transposition() -> None:
    check(
        build([node("Transpose", perm=[0, 2, 3, 1])]), lambda x: x.permute(0, 2, 3, 1), 2, 4, 5, 7
    )
    check(build([node("Transpose")]), lambda x: x.permute(3, 2, 1, 0), 2, 4, 5, 7)


def test_reshaping() -> None:
    nodes = [
        helper.make_node("Reshape", ["image", "shape"], ["planes"]),
        helper.make_node("Unsqueeze", ["planes", "axes"], ["more"]),
        helper.make_node("Squeeze", ["more", "axes"], ["less"]),
        helper.make_node("Sigmoid", ["less"], ["curved"]),
        helper.make_node("Flatten", ["curved"], ["out"], axis=1),
    ]
    model = build(nodes, {"shape": integers(0, 2, -1), "axes": integers(1)}, output_rank=2)
    check(model, lambda x: x.sigmoid().flatten(1), 2, 4, 5, 7)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("rank", [2, 4])
def test_matrix_product(first: bool, rank: int) -> None:
    other = values(*(2, 4)[: rank - 2], 6, 6)
    order = ["image", "other"] if first else ["other", "image"]
    model = build([helper.make_node("MatMul", order, ["out"])], {"other": other}, dims=(2, 4, 6, 6))
    check(model, lambda x: x @ double(other) if first else double(other) @ x, 2, 4, 6, 6)


def test_product_of_two_matrices_that_depend_on_the_image() -> None:
    nodes = [
        helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["image", "turned"], ["out"]),
    ]
    check(build(nodes, dims=("N", 4, "H", "W")), lambda x: x @ x.mT, 2, 4, 5, 7)


@pytest.mark.parametrize("turn_a", [0, 1])
@pytest.mark.parametrize("turn_b", [0, 1])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_gemm(turn_a: int, turn_b: int, position: int) -> None:
    others = {"left": values(6, 6, seed=2), "right": values(6, 6, seed=3), "sum": values(6, 6)}
    names = list(others)
    del others[names[position]]
    names[position] = "image"
    tested = helper.make_node(
        "Gemm", names, ["out"], alpha=0.5, beta=2.0, transA=turn_a, transB=turn_b
    )

    def expected(x: Tensor) -> Tensor:
        a, b, c = (x if name == "image" else double(others[name]) for name in names)
        return 0.5 * (a.mT if turn_a else a) @ (b.mT if turn_b else b) + 2 * c

    check(build([tested], others, dims=(6, 6)), expected, 6, 6)


def test_gemm_with_a_bias_that_is_broadcast() -> None:
    weight, bias = values(3, 6), values(3)
    model = build([node("Gemm", "w", "b", transB=1)], {"w": weight, "b": bias}, dims=("N", 6))
    check(model, lambda x: functional.linear(x, double(weight), double(bias)), 2, 6)


def test_layers_on_two_branches_add_up() -> None:
    weight = values(4, 4, 3, 3)
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["conv"], pads=[1] * 4),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("Conv", ["relu", "weight"], ["again"], pads=[1] * 4),
        helper.make_node("Add", ["again", "relu"], ["out"]),
    ]
    model = build(nodes, {"weight": weight})
    model.graph.output.append(helper.make_tensor_value_info("relu", 1, DYNAMIC))
    models = differentiate(model)
    image = values(1, 4, 6, 5)
    forward = run(models.forward, {"image": image})
    cotangents = {name: values(1, 4, 6, 5, seed=seed) for seed, name in enumerate(("out", "relu"))}
    given = {cotangent_name(name): value for name, value in cotangents.items()}
    found = run(models.backward, {**forward, "image": image, **given})["d_image"]
    leaf = double(image).requires_grad_()
    relu = functional.conv2d(leaf, double(weight), padding=1).relu()
    out = functional.conv2d(relu, double(weight), padding=1) + relu
    (expected,) = torch.autograd.grad(
        [out, relu], leaf, [double(cotangents[name]) for name in ("out", "relu")]
    )
    assert error(found, expected) < FLOAT32


def test_the_forward_model_keeps_its_outputs_first_and_saves_only_what_is_needed() -> None:
    weight = values(4, 4, 3, 3)
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["conv"], pads=[1] * 4),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("AveragePool", ["relu"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["pool", "weight"], ["out"], pads=[1] * 4),
    ]
    models = differentiate(build(nodes, {"weight": weight}))
    # Neither what a rectifier is applied to (it could not be fused) nor the pool's output.
    assert [each.name for each in models.forward.graph.output] == ["out", "relu"]
    assert models.saved == ("relu",)


def test_only_the_shape_is_kept_of_what_is_used_for_its_shape() -> None:
    nodes = [
        helper.make_node("Neg", ["image"], ["negative"]),
        helper.make_node("AveragePool", ["negative"], ["out"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    models = differentiate(build(nodes))
    (kept,) = (each for each in models.forward.graph.output if each.name != "out")
    assert kept.type.tensor_type.elem_type == onnx.TensorProto.INT64
    check(build(nodes), lambda x: functional.avg_pool2d(-x, 2), 1, 4, 5, 7)


REFUSED: list[tuple[list[onnx.NodeProto], str]] = [
    ([node("Sin")], r"Sin \(node 'tested'\): there is no rule"),
    ([helper.make_node("Thing", ["image"], ["out"], "mine", domain="com.example")],
     r"com.example::Thing \(node 'mine'\)"),
    ([node("Conv", "image")], "its kernel depends on the image"),
    ([node("Pad", "pads", mode="wrap")], "it pads by a negative number, in the mode wrap"),
    ([node("Gather", "pads")], "it takes more than one position"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "reason"), REFUSED)
def test_what_no_rule_covers_is_named(nodes: list[onnx.NodeProto], reason: str) -> None:
    graph = helper.make_graph(
        nodes,
        "forward",
        [helper.make_tensor_value_info("image", 1, (1, 4, 8, 8))],
        [helper.make_tensor_value_info("out", 1, (None,) * 4)],
        [
            numpy_helper.from_array(values(4, 4, 3, 3), "weight"),
            numpy_helper.from_array(integers(0, 0, -1, 1, 0, 0, 1, 1), "pads"),
        ],
    )
    imports = [helper.make_opsetid("", 19), helper.make_opsetid("com.example", 1)]
    with pytest.raises(NoGradientError, match=reason) as raised:
        differentiate(helper.make_model(graph, opset_imports=imports, ir_version=10))
    assert "\n" not in str(raised.value)
