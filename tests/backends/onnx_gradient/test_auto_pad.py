"""Gradients of windows whose padding depends on the size, and of means over many positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from stylectl.backends.onnx_gradient import cotangent_name, differentiate
from torch import Tensor
from torch.nn import functional

Array = np.ndarray[Any, Any]

# An element is a sum of at most some hundred products, each rounded by 6e-8: a few times that.
FLOAT32 = 2e-6


def values(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def model(
    node: onnx.NodeProto, constants: Mapping[str, Array], element: int = TensorProto.FLOAT
) -> onnx.ModelProto:
    """A model of one node from `image`, (N, 4, H, W), to `out`."""
    graph = helper.make_graph(
        [node],
        "forward",
        [helper.make_tensor_value_info("image", element, ["N", 4, "H", "W"])],
        [helper.make_tensor_value_info("out", element, [None] * 4)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made)
    return made


def run(proto: onnx.ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_outputs()]
    inputs = {value.name: inputs[value.name] for value in session.get_inputs()}
    return dict(zip(names, session.run(names, inputs), strict=True))


def gradient(proto: onnx.ModelProto, image: Array, cotangent: Array, on_cpu: bool) -> Array:
    models = differentiate(proto, on_cpu=on_cpu)
    forward = run(models.forward, {"image": image})
    inputs = forward | {"image": image, cotangent_name("out"): cotangent}
    return run(models.backward, inputs)[cotangent_name("image")]


def distance(got: Array, expected: Tensor) -> float:
    wanted = expected.detach().double().numpy()
    assert got.shape == wanted.shape
    return float(np.linalg.norm(got.astype(np.float64) - wanted)) / float(np.linalg.norm(wanted))


def check(proto: onnx.ModelProto, function: Callable[[Tensor], Tensor], image: Array) -> None:
    """The model is the function, in float64, and its gradient is that of the function."""
    leaf = torch.from_numpy(image).double().requires_grad_()
    expected = function(leaf)
    cotangent = values(*expected.shape, seed=1)
    (exact,) = torch.autograd.grad(expected, leaf, torch.from_numpy(cotangent).double())
    assert distance(run(proto, {"image": image})["out"], expected) < FLOAT32
    for on_cpu in (True, False):
        assert distance(gradient(proto, image, cotangent, on_cpu), exact) < FLOAT32


Pair = tuple[int, int]


def padding(size: Pair, kernel: Pair, stride: Pair, upper: bool) -> list[int]:
    """torch's padding for ONNX's SAME: left, right, top, bottom."""
    both = []
    for side, window, step in zip(size, kernel, stride, strict=True):
        total = max((-(-side // step) - 1) * step + window - side, 0)
        before = total // 2 if upper else total - total // 2
        both.append((before, total - before))
    return [*both[1], *both[0]]


WINDOWS = {
    "kernel": st.tuples(st.integers(1, 4), st.integers(1, 4)),
    "stride": st.tuples(st.integers(1, 4), st.integers(1, 4)),
    "size": st.tuples(st.integers(5, 11), st.integers(5, 11)),
    "upper": st.booleans(),
}


def auto_pad(upper: bool) -> str:
    return "SAME_UPPER" if upper else "SAME_LOWER"


@settings(max_examples=40, deadline=None)
@given(**WINDOWS, groups=st.sampled_from([1, 2]))
def test_convolution(kernel: Pair, stride: Pair, size: Pair, upper: bool, groups: int) -> None:
    weight = values(6, 4 // groups, *kernel)
    node = helper.make_node(
        "Conv",
        ["image", "weight"],
        ["out"],
        auto_pad=auto_pad(upper),
        strides=stride,
        group=groups,
    )
    pads = padding(size, kernel, stride, upper)

    def exact(x: Tensor) -> Tensor:
        return functional.conv2d(
            functional.pad(x, pads),
            torch.from_numpy(weight).double(),
            stride=stride,
            groups=groups,
        )

    check(model(node, {"weight": weight}), exact, values(2, 4, *size))


@settings(max_examples=40, deadline=None)
@given(**WINDOWS, levels=st.sampled_from([2, 1000]))
def test_max_pooling(kernel: Pair, stride: Pair, size: Pair, upper: bool, levels: int) -> None:
    assume(min(np.subtract(kernel, stride)) >= 0)  # ONNX Runtime refuses to cut off
    node = helper.make_node(
        "MaxPool",
        ["image"],
        ["out"],
        kernel_shape=kernel,
        strides=stride,
        auto_pad=auto_pad(upper),
    )
    pads = padding(size, kernel, stride, upper)

    def exact(x: Tensor) -> Tensor:
        return functional.max_pool2d(functional.pad(x, pads, value=-torch.inf), kernel, stride)

    image = np.random.default_rng(0).integers(levels, size=(2, 4, *size)).astype(np.float32)
    check(model(node, {}), exact, image)


@settings(max_examples=40, deadline=None)
@given(**WINDOWS, include=st.booleans())
def test_average_pooling(
    kernel: Pair, stride: Pair, size: Pair, upper: bool, include: bool
) -> None:
    assume(min(np.subtract(kernel, stride)) >= 0)  # ONNX Runtime refuses to cut off
    node = helper.make_node(
        "AveragePool",
        ["image"],
        ["out"],
        kernel_shape=kernel,
        strides=stride,
        auto_pad=auto_pad(upper),
        count_include_pad=int(include),
    )
    pads = padding(size, kernel, stride, upper)

    def exact(x: Tensor) -> Tensor:
        sums = functional.avg_pool2d(functional.pad(x, pads), kernel, stride, divisor_override=1)
        inside = functional.pad(torch.ones_like(x), pads, value=float(include))
        return sums / functional.avg_pool2d(inside, kernel, stride, divisor_override=1)

    check(model(node, {}), exact, values(2, 4, *size))


@pytest.mark.parametrize("operator", ["GlobalAveragePool", "ReduceMean", "AveragePool"])
def test_a_mean_over_more_positions_than_float16_can_count(operator: str) -> None:
    attributes: dict[str, Any] = {"axes": {}, "kernel": {"kernel_shape": [257, 256]}}[
        "kernel" if operator == "AveragePool" else "axes"
    ]
    inputs, constants = ["image"], {}
    if operator == "ReduceMean":
        inputs, constants = ["image", "axes"], {"axes": np.array([2, 3], np.int64)}
    node = helper.make_node(operator, inputs, ["out"], **attributes)
    image = np.zeros((1, 4, 257, 256), np.float16)
    cotangent = np.full((1, 4, 1, 1), 1000, np.float16)
    proto = model(node, constants, TensorProto.FLOAT16)
    for on_cpu in (True, False):
        found = gradient(proto, image, cotangent, on_cpu)
        # Half a unit of the last of 11 bits.
        np.testing.assert_allclose(found.astype(np.float64), 1000 / (257 * 256), rtol=5e-4)


#: Numbers at and beside a kink at 0: the smallest normal and subnormal ones.
NEAR_ZERO = (0.0, -0.0, 1.2e-38, -1.2e-38, 1e-45, 0.5, -0.5, 1.0, 7.0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(NEAR_ZERO), min_size=16, max_size=16), st.booleans())
def test_masks_are_what_the_standard_says_not_one_runtime(row: list[float], on_cpu: bool) -> None:
    hard_sigmoid = {"alpha": 0.25, "beta": 0.5}
    nodes: dict[str, dict[str, Any]] = {
        "Relu": {},
        "LeakyRelu": {"alpha": 0.25},
        "HardSigmoid": hard_sigmoid,
    }
    image = np.array(row, np.float32).reshape(1, 4, 2, 2)
    for operator, attributes in nodes.items():
        node = helper.make_node(operator, ["image"], ["out"], **attributes)
        pair = differentiate(model(node, {}), on_cpu=on_cpu)
        forward = run(pair.forward, {"image": image})
        cotangent = np.full(image.shape, 3, np.float32)
        inputs = forward | {"image": image, cotangent_name("out"): cotangent}
        needed = {value.name: inputs[value.name] for value in pair.backward.graph.input}
        (by_standard,) = ReferenceEvaluator(pair.backward).run(None, needed)
        by_runtime = run(pair.backward, needed)[cotangent_name("image")]
        slopes = {
            "Relu": image > 0,
            "LeakyRelu": np.where(image > 0, 1, 0.25),
            "HardSigmoid": np.where(np.abs(image) < 2, 0.25, 0),
        }
        normal = np.abs(image) > 1e-40  # a runtime may take smaller numbers for 0
        normal |= image == 0
        for found in (by_standard, by_runtime):
            np.testing.assert_array_equal(found[normal], (3 * slopes[operator])[normal])
