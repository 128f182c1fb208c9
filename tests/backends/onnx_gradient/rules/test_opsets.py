"""The forms that operators have in the opsets 9 to 23, against torch.autograd in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto, helper
from torch import Tensor
from torch.nn import functional

from ..checking import Array, Function, build, check, double, integers, values

#: Nodes from `image` (2, 4, 6, 8) to `out` in an opset, constants by name, and the function.
Form = tuple[list[NodeProto], dict[str, Array], Function]

KERNEL = values(4, 4, 3, 3, seed=5) / np.float32(6)
BIAS = values(4, seed=6)


def one(operator: str, *inputs: str, **attributes: Any) -> list[NodeProto]:
    return [helper.make_node(operator, ["image", *inputs], ["out"], **attributes)]


def convolution(opset: int) -> Form:
    nodes = one("Conv", "kernel", "bias", strides=[2, 1], pads=[1, 0, 0, 2])

    def function(x: Tensor) -> Tensor:
        padded = functional.pad(x, (0, 2, 1, 0))
        return functional.conv2d(padded, double(KERNEL), double(BIAS), stride=(2, 1))

    return nodes, {"kernel": KERNEL, "bias": BIAS}, function


def transposed(opset: int) -> Form:
    nodes = one("ConvTranspose", "kernel", "bias", strides=[2, 2], pads=[1, 1, 1, 1])

    def function(x: Tensor) -> Tensor:
        return functional.conv_transpose2d(x, double(KERNEL), double(BIAS), 2, 1)

    return nodes, {"kernel": KERNEL, "bias": BIAS}, function


def normalization(opset: int) -> Form:
    numbers = {name: np.abs(values(4, seed=at)) + np.float32(0.5) for at, name in enumerate("sbmv")}
    nodes = one("BatchNormalization", *numbers, epsilon=1e-3)

    def function(x: Tensor) -> Tensor:
        scale, bias, mean, variance = (double(number) for number in numbers.values())
        return functional.batch_norm(x, mean, variance, scale, bias, eps=1e-3)

    return nodes, numbers, function


def clip(opset: int) -> Form:
    def function(x: Tensor) -> Tensor:
        return x.clamp(-0.5, 0.7)

    if opset < 11:
        return one("Clip", min=-0.5, max=0.7), {}, function
    bounds = {"low": np.float32(-0.5), "high": np.float32(0.7)}
    return one("Clip", *bounds), {name: np.array(bound) for name, bound in bounds.items()}, function


def padding(mode: str, torch_mode: str) -> Callable[[int], Form]:
    def form(opset: int) -> Form:
        widths = [0, 0, 1, 2, 0, 0, 3, 1]

        def function(x: Tensor) -> Tensor:
            return functional.pad(x, (2, 1, 1, 3), mode=torch_mode)

        if opset < 11:
            return one("Pad", mode=mode, pads=widths), {}, function
        return one("Pad", "widths", mode=mode), {"widths": integers(*widths)}, function

    return form


def slices(opset: int) -> Form:
    def function(x: Tensor) -> Tensor:
        return x[:, :, 1:5, -6:-1]

    if opset < 10:
        return one("Slice", axes=[2, 3], starts=[1, -6], ends=[5, -1]), {}, function
    constants = {"s": integers(1, -6), "e": integers(5, -1), "a": integers(2, 3)}
    return one("Slice", *constants), constants, function


def split(opset: int) -> Form:
    attributes: dict[str, Any] = {"split": [1, 3]} if opset < 13 else {}
    inputs = ["image"] if opset < 13 else ["image", "sizes"]
    constants = {} if opset < 13 else {"sizes": integers(1, 3)}
    nodes = [
        helper.make_node("Split", inputs, ["first", "second"], axis=1, **attributes),
        helper.make_node("Tanh", ["second"], ["curved"]),
        helper.make_node("Concat", ["curved", "first"], ["out"], axis=1),
    ]
    return nodes, constants, lambda x: torch.cat([x[:, 1:].tanh(), x[:, :1]], 1)


def squeezed(opset: int) -> Form:
    constants: dict[str, Array] = {}
    nodes = [helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1], keepdims=0)]
    if opset >= 18:
        nodes = [helper.make_node("ReduceMean", ["image", "one"], ["mean"], keepdims=0)]
        constants["one"] = integers(1)
    if opset < 13:
        nodes += [
            helper.make_node("Unsqueeze", ["mean"], ["more"], axes=[1, 2]),
            helper.make_node("Squeeze", ["more"], ["less"], axes=[2]),
        ]
    else:
        constants |= {"both": integers(1, 2), "two": integers(2)}
        nodes += [
            helper.make_node("Unsqueeze", ["mean", "both"], ["more"]),
            helper.make_node("Squeeze", ["more", "two"], ["less"]),
        ]
    nodes.append(helper.make_node("Mul", ["image", "less"], ["out"]))
    return nodes, constants, lambda x: x * x.mean(1, keepdim=True)


def resized(opset: int) -> Form:
    def function(x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=2)

    factors = {"f": np.array([1, 1, 2, 2], np.float32)}
    if opset < 10:
        return one("Upsample", "f", mode="nearest"), factors, function
    if opset < 11:
        return one("Resize", "f", mode="nearest"), factors, function
    asymmetric = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if opset < 13:  # the region must be stated, and is not used
        unused = {"roi": np.zeros(0, np.float32)}
        return one("Resize", "roi", "f", mode="nearest", **asymmetric), factors | unused, function
    return one("Resize", "", "f", mode="nearest", **asymmetric), factors, function


def summed(opset: int) -> Form:
    if opset < 13:
        return one("ReduceSum", axes=[1, 3], keepdims=1), {}, lambda x: x.sum((1, 3), keepdim=True)
    constants = {"axes": integers(1, 3)}
    return one("ReduceSum", "axes"), constants, lambda x: x.sum((1, 3), keepdim=True)


def dropout(opset: int) -> Form:
    attributes: dict[str, Any] = {"ratio": 0.3} if opset < 12 else {}
    nodes = [
        helper.make_node("Dropout", ["image"], ["same"], **attributes),
        helper.make_node("Exp", ["same"], ["out"]),
    ]
    return nodes, {}, torch.exp


def softmax(opset: int) -> Form:
    def function(x: Tensor) -> Tensor:
        if opset >= 13:
            return x.softmax(2)
        return x.flatten(2).softmax(2).view(x.shape)

    return one("Softmax", axis=2), {}, function


def product(opset: int) -> Form:
    constants = {"b": values(48, 5, seed=7), "c": values(5, seed=8)}
    nodes = [
        helper.make_node("Flatten", ["image"], ["rows"], axis=2),
        helper.make_node("Gemm", ["rows", "b", "c"], ["out"], alpha=0.5, beta=2.0),
    ]

    def function(x: Tensor) -> Tensor:
        b, c = (double(value) for value in constants.values())
        return 0.5 * x.reshape(8, 48) @ b + 2 * c

    return nodes, constants, function


FORMS: dict[str, tuple[Callable[[int], Form], int]] = {
    "BatchNormalization": (normalization, 4),
    "Clip": (clip, 4),
    "Conv": (convolution, 4),
    "ConvTranspose": (transposed, 4),
    "Dropout": (dropout, 4),
    "Gemm": (product, 2),
    "Pad constant": (padding("constant", "constant"), 4),
    "Pad edge": (padding("edge", "replicate"), 4),
    "Pad reflect": (padding("reflect", "reflect"), 4),
    "ReduceMean, Squeeze, Unsqueeze": (squeezed, 4),
    "ReduceSum": (summed, 4),
    "Resize": (resized, 4),
    "Slice": (slices, 4),
    "Softmax": (softmax, 4),
    "Split": (split, 4),
}


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=8, deadline=None)
@given(opset=st.integers(9, 23), seed=st.integers(0, 99))
def test_operators_in_their_forms_of_any_opset(name: str, opset: int, seed: int) -> None:
    form, rank = FORMS[name]
    nodes, constants, function = form(opset)
    model = build(nodes, constants, opset=opset, output_rank=rank)
    onnx.checker.check_model(model)
    check(model, function, image=values(2, 4, 6, 8, seed=seed))


#: The least opset with an operator, its inputs besides the image, its attributes, the function.
Operator = tuple[int, dict[str, Array], dict[str, Any], Function]

OTHER = values(2, 4, 6, 8, seed=3)
ROWS = np.random.default_rng(0).integers(0, 8, (2, 4, 6, 5))
GRID = np.clip(values(2, 3, 5, 2, seed=4), -0.9, 0.9)
WEIGHTS = {"scale": values(4, seed=5), "shift": values(4, seed=6)}


def padded_squares(x: Tensor) -> Tensor:
    return functional.pad(x * x, (0, 0, 0, 0, 1, 1)).unfold(1, 3, 1).sum(-1)


def replaced(x: Tensor) -> Tensor:
    """The last half of the batch, with other numbers in the place of the first."""
    return torch.cat([double(OTHER[:1]), x[1:]])


OPERATORS: dict[str, Operator] = {
    "CumSum": (11, {"axis": np.array(2)}, {}, lambda x: x.cumsum(2)),
    "DepthToSpace": (
        9,
        {},
        {"blocksize": 2},
        lambda x: x.view(2, 2, 2, 1, 6, 8).permute(0, 3, 4, 1, 5, 2).reshape(2, 1, 12, 16),
    ),
    "Einsum": (
        12,
        {"matrix": values(4, 3, seed=1)},
        {"equation": "nchw,cd->ndhw"},
        lambda x: torch.einsum("nchw,cd->ndhw", x, double(values(4, 3, seed=1))),
    ),
    "Expand": (9, {"sizes": integers(2, 1, 1, 1)}, {}, lambda x: x.expand(2, 4, 6, 8) * 1),
    "Gather": (9, {"places": integers(0, 2, 2)}, {"axis": 1}, lambda x: x[:, [0, 2, 2]]),
    "GatherElements": (
        11,
        {"places": ROWS},
        {"axis": 3},
        lambda x: x.gather(3, torch.from_numpy(ROWS)),
    ),
    "GlobalMaxPool": (9, {}, {}, lambda x: x.amax((2, 3), keepdim=True)),
    "GridSample": (
        16,
        {"grid": GRID},
        {},
        lambda x: functional.grid_sample(x, double(GRID), align_corners=False),
    ),
    "GroupNormalization": (
        21,
        WEIGHTS,
        {"num_groups": 2},
        lambda x: functional.group_norm(x, 2, double(WEIGHTS["scale"]), double(WEIGHTS["shift"])),
    ),
    "InstanceNormalization": (
        9,
        WEIGHTS,
        {},
        lambda x: functional.instance_norm(
            x, weight=double(WEIGHTS["scale"]), bias=double(WEIGHTS["shift"])
        ),
    ),
    "LRN": (
        9,
        {},
        {"size": 3, "alpha": 0.3},
        lambda x: x / (1 + 0.1 * padded_squares(x)) ** 0.75,
    ),
    "LayerNormalization": (
        17,
        {"scale": values(8, seed=5)},
        {},
        lambda x: functional.layer_norm(x, (8,), double(values(8, seed=5))),
    ),
    "LpPool": (
        9,
        {},
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        lambda x: functional.lp_pool2d(x, 2, 2),
    ),
    "Max": (9, {"other": OTHER}, {}, lambda x: torch.maximum(x, double(OTHER))),
    "Mean": (9, {"other": OTHER}, {}, lambda x: (x + double(OTHER)) / 2),
    "Min": (9, {"other": OTHER}, {}, lambda x: torch.minimum(x, double(OTHER))),
    "PRelu": (
        9,
        {"slope": values(4, 1, 1, seed=2)},
        {},
        lambda x: functional.prelu(x, double(values(4, seed=2))),
    ),
    "Pow": (9, {"exponent": np.array(3, np.float32)}, {}, lambda x: x**3),
    "ScatterND": (
        11,
        {"places": np.array([[0]]), "updates": OTHER[:1]},
        {},
        replaced,
    ),
    "SpaceToDepth": (
        9,
        {},
        {"blocksize": 2},
        lambda x: x.view(2, 4, 3, 2, 4, 2).permute(0, 3, 5, 1, 2, 4).reshape(2, 16, 3, 4),
    ),
    "Sum": (9, {"other": OTHER}, {}, lambda x: x + double(OTHER)),
    "Tile": (9, {"counts": integers(1, 2, 1, 3)}, {}, lambda x: x.repeat(1, 2, 1, 3)),
}


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from([*OPERATORS]), opset=st.integers(9, 23), seed=st.integers(0, 99))
def test_operators_of_one_form_in_any_opset(name: str, opset: int, seed: int) -> None:
    since, constants, attributes, function = OPERATORS[name]
    model = build(one(name, *constants, **attributes), constants, opset=max(since, opset))
    # Statistics are rounded a few times.
    check(model, function, image=values(2, 4, 6, 8, seed=seed), tolerance=1e-5)


REDUCTIONS: dict[str, Function] = {
    "ReduceL2": lambda x: x.norm(dim=(2, 3), keepdim=True),
    "ReduceMax": lambda x: x.amax((2, 3), keepdim=True),
    "ReduceMean": lambda x: x.mean((2, 3), keepdim=True),
}


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from([*REDUCTIONS]), opset=st.integers(9, 23), seed=st.integers(0, 99))
def test_reductions_in_any_opset(name: str, opset: int, seed: int) -> None:
    constants = {"axes": integers(2, 3)} if opset >= 18 else {}
    attributes = {} if opset >= 18 else {"axes": [2, 3]}
    model = build(one(name, *constants, **attributes), constants, opset=opset)
    image = values(2, 4, 6, 8, seed=seed)
    check(model, REDUCTIONS[name], image=image, tolerance=1e-5)  # a mean may be near zero


POINTWISE: dict[str, tuple[int, Function]] = {
    "Abs": (9, torch.abs),
    "Celu": (12, functional.celu),
    "Cos": (9, torch.cos),
    "Elu": (9, functional.elu),
    "Erf": (9, torch.erf),
    "Exp": (9, torch.exp),
    "Gelu": (20, functional.gelu),
    "HardSigmoid": (9, lambda x: (0.2 * x + 0.5).clamp(0, 1)),
    "HardSwish": (14, functional.hardswish),
    "Identity": (9, lambda x: x * 1),
    "LeakyRelu": (9, functional.leaky_relu),
    "Mish": (18, functional.mish),
    "Neg": (9, torch.neg),
    "Relu": (9, torch.relu),
    "Selu": (9, torch.selu),
    "Sigmoid": (9, torch.sigmoid),
    "Sin": (9, torch.sin),
    "Softplus": (9, functional.softplus),
    "Softsign": (9, functional.softsign),
    "Swish": (24, functional.silu),
    "Tanh": (9, torch.tanh),
}


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from([*POINTWISE]), opset=st.integers(9, 23), seed=st.integers(0, 99))
def test_functions_of_single_elements_in_any_opset(name: str, opset: int, seed: int) -> None:
    since, function = POINTWISE[name]
    model = build(one(name), opset=max(since, opset))
    check(model, function, image=values(1, 4, 3, 5, seed=seed))


@settings(max_examples=15, deadline=None)
@given(opset=st.integers(9, 23), seed=st.integers(0, 99))
def test_roots_in_any_opset(opset: int, seed: int) -> None:
    nodes = [
        helper.make_node("Mul", ["image", "image"], ["square"]),
        helper.make_node("Add", ["square", "one"], ["above"]),
        helper.make_node("Sqrt", ["above"], ["out"]),
    ]
    model = build(nodes, {"one": np.ones(1, np.float32)}, opset=opset)
    check(model, lambda x: (x * x + 1).sqrt(), image=values(1, 4, 3, 5, seed=seed))
