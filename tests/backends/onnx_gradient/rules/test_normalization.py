"""Normalizations by their own statistics, against torch.autograd in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from torch import Tensor
from torch.nn import functional

from ..checking import DYNAMIC, build, check, double, node, values

#: A difference from a mean, divided by the deviation, is rounded a few times.
TOLERANCE = 5e-6


@settings(max_examples=20, deadline=None)
@given(
    axis=st.sampled_from([-1, -2, -3, 1, 2, 3]),
    opset=st.sampled_from([17, 23]),
    epsilon=st.sampled_from([1e-5, 1e-2]),
    bias=st.booleans(),
)
def test_layer_normalization(axis: int, opset: int, epsilon: float, bias: bool) -> None:
    shape = (2, 4, 5, 7)[axis % 4 :]
    constants = {"scale": values(*shape, seed=1)}
    constants |= {"shift": values(*shape, seed=2)} if bias else {}
    tested = node("LayerNormalization", *constants, axis=axis, epsilon=epsilon)

    def expected(x: Tensor) -> Tensor:
        shift = double(constants["shift"]) if bias else None
        return functional.layer_norm(x, shape, double(constants["scale"]), shift, epsilon)

    check(build([tested], constants, opset=opset), expected, 2, 4, 5, 7, tolerance=TOLERANCE)


def test_layer_normalization_whose_scale_and_bias_depend_on_the_image() -> None:
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
        helper.make_node("LayerNormalization", ["image", "mean", "mean"], ["out"]),
    ]

    def expected(x: Tensor) -> Tensor:
        mean = x.mean((0, 1, 2))
        return functional.layer_norm(x, (7,), mean, mean)

    model = build(nodes, {"axes": np.array([0, 1, 2])}, dims=("N", 4, "H", 7))
    check(model, expected, 2, 4, 5, 7, tolerance=TOLERANCE)


@pytest.mark.parametrize("opset", [9, 22])
@pytest.mark.parametrize("rank", [3, 4])
def test_instance_normalization(opset: int, rank: int) -> None:
    constants = {"scale": values(4, seed=1), "shift": values(4, seed=2)}
    model = build(
        [node("InstanceNormalization", *constants, epsilon=1e-3)],
        constants,
        dims=DYNAMIC[:rank],
        opset=opset,
    )

    def expected(x: Tensor) -> Tensor:
        weight, bias = (double(value) for value in constants.values())
        return functional.instance_norm(x, weight=weight, bias=bias, eps=1e-3)

    check(model, expected, *(2, 4, 5, 7)[:rank], tolerance=TOLERANCE)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_normalization(groups: int) -> None:
    constants = {"scale": values(4, seed=1), "shift": values(4, seed=2)}
    tested = node("GroupNormalization", *constants, num_groups=groups, epsilon=1e-3)

    def expected(x: Tensor) -> Tensor:
        weight, bias = (double(value) for value in constants.values())
        return functional.group_norm(x, groups, weight, bias, eps=1e-3)

    model = build([tested], constants, opset=21)
    check(model, expected, 2, 4, 5, 7, tolerance=TOLERANCE)


@pytest.mark.parametrize("axis", [-1, 1, 2])
def test_root_mean_square_normalization(axis: int) -> None:
    shape = (2, 4, 5, 7)[axis % 4 :]
    scale = values(*shape, seed=1)
    model = build([node("RMSNormalization", "scale", axis=axis)], {"scale": scale}, opset=23)
    check(model, lambda x: functional.rms_norm(x, shape, double(scale), 1e-5), 2, 4, 5, 7)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [-1, 1])
def test_normalization_by_a_norm(p: int, axis: int) -> None:
    model = build([node("LpNormalization", p=p, axis=axis)], opset=9)
    check(model, lambda x: functional.normalize(x, p, axis), 2, 4, 5, 7)


def test_normalization_by_a_norm_of_zero_gives_nothing() -> None:
    image = values(1, 4, 2, 3)
    image[:, :, 0, 0] = 0

    def expected(x: Tensor) -> Tensor:
        norm = x.norm(dim=1, keepdim=True)
        return torch.where(norm == 0, 0, x / torch.where(norm == 0, 1, norm))

    check(build([node("LpNormalization", axis=1)]), expected, image=image)


def test_mean_variance_normalization() -> None:
    def expected(x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
        return (x - mean) / (variance.sqrt() + 1e-9)

    model = build([node("MeanVarianceNormalization", axes=[0, 2, 3])], opset=13)
    check(model, expected, 2, 4, 5, 7, tolerance=TOLERANCE)


@settings(max_examples=25, deadline=None)
@given(
    size=st.sampled_from([1, 3, 5]),  # the runtime takes no even ones
    alpha=st.floats(0.0001, 2),
    beta=st.floats(0.3, 1.5),
    bias=st.floats(0.5, 2),
)
def test_local_response_normalization(size: int, alpha: float, beta: float, bias: float) -> None:
    def expected(x: Tensor) -> Tensor:
        square = functional.pad(x * x, (0, 0, 0, 0, (size - 1) // 2, size // 2))
        mean = square.unfold(1, size, 1).sum(-1) / size
        return x / (bias + alpha * mean) ** beta

    tested = node("LRN", size=size, alpha=alpha, beta=beta, bias=bias)
    check(build([tested], opset=9), expected, 2, 4, 3, 5, tolerance=TOLERANCE)


@pytest.mark.parametrize("operator", ["LayerNormalization", "InstanceNormalization"])
def test_half_precision_keeps_statistics_in_single_precision(operator: str) -> None:
    # Squares of 300 do not fit into half precision.
    image = (300 * values(1, 4, 8, 8)).astype(np.float16)
    size = 8 if operator == "LayerNormalization" else 4
    constants: dict[str, Any] = {"scale": np.ones(size, np.float16)}
    constants["shift"] = np.zeros(size, np.float16)
    model = build(
        [node(operator, *constants)], constants, opset=17, element=onnx.TensorProto.FLOAT16
    )

    def expected(x: Tensor) -> Tensor:
        if operator == "LayerNormalization":
            return functional.layer_norm(x, (8,))
        return functional.instance_norm(x)

    check(model, expected, image=image, tolerance=3e-3)  # a number has 11 bits
