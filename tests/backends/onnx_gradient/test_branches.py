"""Branches (If) that stay in a graph, against torch.autograd in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import GraphProto, NodeProto, helper, numpy_helper
from stylectl.backends.onnx_gradient import NoGradientError, differentiate
from torch import Tensor
from torch.nn import functional

from .checking import Array, build, check, double, integers, values

KERNEL = values(4, 4, 3, 3, seed=5) / np.float32(6)
make = helper.make_node


def branch(
    nodes: Sequence[NodeProto], outputs: Sequence[str], constants: Mapping[str, Array] = {}
) -> GraphProto:
    return helper.make_graph(
        nodes,
        "branch",
        [],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )


def convolved() -> GraphProto:
    """Relu of a convolution, whose weights are of the graph around it, and a mean."""
    nodes = [
        make("Conv", ["image", "kernel"], ["conv"], pads=[1] * 4),
        make("Relu", ["conv"], ["map"]),
        make("GlobalAveragePool", ["conv"], ["mean"]),
    ]
    return branch(nodes, ["map", "mean"])


def curved() -> GraphProto:
    """Tanh of twice the image, and a number that does not depend on the image."""
    nodes = [
        make("Mul", ["image", "two"], ["twice"]),
        make("Tanh", ["twice"], ["curved"]),
        make("Identity", ["one"], ["number"]),
    ]
    constants: dict[str, Array] = {
        "two": np.array(2, np.float32),
        "one": np.ones((1, 1, 1, 1), np.float32),
    }
    return branch(nodes, ["curved", "number"], constants)


def of_size() -> list[NodeProto]:
    return [
        make("Shape", ["image"], ["sizes"]),
        make("Gather", ["sizes", "three"], ["width"]),
        make("Greater", ["width", "limit"], ["wide"]),
        make("If", ["wide"], ["a", "b"], "choice", then_branch=convolved(), else_branch=curved()),
        make("Mul", ["a", "b"], ["product"]),
        make("Sin", ["product"], ["out"]),
    ]


def expected_of_size(x: Tensor) -> Tensor:
    if x.shape[3] <= 6:
        return (2 * x).tanh().sin()
    conv = functional.conv2d(x, double(KERNEL), padding=1)
    return (conv.relu() * conv.mean((2, 3), keepdim=True)).sin()


@settings(max_examples=15, deadline=None)
@given(opset=st.integers(11, 23), width=st.integers(4, 9), seed=st.integers(0, 99))
def test_a_branch_that_the_size_decides(opset: int, width: int, seed: int) -> None:
    constants = {"kernel": KERNEL, "three": np.array(3), "limit": np.array(6)}
    model = build(of_size(), constants, opset=opset)
    image = values(2, 4, 5, width, seed=seed)
    check(model, expected_of_size, image=image, tolerance=1e-5)


@pytest.mark.parametrize("opset", [9, 13, 23])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_branch_that_the_image_decides(opset: int, sign: int) -> None:
    unused = branch([make("Identity", ["constant"], ["same"])], ["same"])
    used = branch([make("Exp", ["image"], ["power"])], ["power"])
    nodes = [
        make("GlobalMaxPool", ["image"], ["maxima"]),
        make("ReduceMax", ["maxima"], ["largest"], keepdims=0),
        make("Greater", ["largest", "zero"], ["above"]),
        make("If", ["above"], ["chosen"], then_branch=used, else_branch=unused),
        make("Mul", ["chosen", "image"], ["out"]),
    ]
    constants = {"zero": np.array(0, np.float32), "constant": values(1, 4, 5, 6, seed=7)}
    model = build(nodes, constants, opset=opset)

    def expected(x: Tensor) -> Tensor:
        return x * (x.exp() if x.max() > 0 else double(constants["constant"]))

    check(model, expected, image=sign * np.abs(values(1, 4, 5, 6)) - np.float32(0.01 * sign))


@pytest.mark.parametrize("width", [4, 6, 8])
def test_branches_in_branches(width: int) -> None:
    inner = make(
        "If",
        ["very"],
        ["inner"],
        then_branch=branch([make("Sin", ["scaled"], ["sine"])], ["sine"]),
        else_branch=branch([make("Mul", ["scaled", "image"], ["square"])], ["square"]),
    )
    outer = branch([make("Mul", ["image", "factor"], ["scaled"]), inner], ["inner"])
    same = branch([make("Identity", ["image"], ["same"])], ["same"])
    nodes = [
        make("Shape", ["image"], ["sizes"]),
        make("Gather", ["sizes", "three"], ["width"]),
        make("Greater", ["width", "five"], ["wide"]),
        make("Greater", ["width", "seven"], ["very"]),
        make("If", ["wide"], ["out"], then_branch=outer, else_branch=same),
    ]
    numbers = {"three": np.array(3), "five": np.array(5), "seven": np.array(7)}
    constants: dict[str, Any] = {**numbers, "factor": values(4, 1, 1, seed=3)}

    def expected(x: Tensor) -> Tensor:
        if x.shape[3] <= 5:
            return x * 1
        scaled = x * double(constants["factor"])
        return scaled.sin() if x.shape[3] > 7 else scaled * x

    check(build(nodes, constants), expected, 2, 4, 5, width)


def test_an_operator_without_a_rule_in_a_branch_is_named() -> None:
    bad = branch([make("Det", ["image"], ["value"], "tested")], ["value"])
    good = branch([make("ReduceMean", ["image", "axes"], ["mean"], keepdims=0)], ["mean"])
    nodes = [
        make("Shape", ["image"], ["sizes"]),
        make("Gather", ["sizes", "first"], ["side"]),
        make("Greater", ["side", "first"], ["condition"]),
        make("If", ["condition"], ["out"], then_branch=bad, else_branch=good),
    ]
    constants = {"axes": integers(2, 3), "first": np.array(2)}
    model = build(nodes, constants, output_rank=2)
    with pytest.raises(NoGradientError, match=r"Det .*there is no rule"):
        differentiate(model)
