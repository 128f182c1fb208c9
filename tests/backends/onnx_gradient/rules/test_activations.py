"""Activations, and functions of single elements, against torch.autograd in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from torch.nn import functional

from ..checking import Function, build, check, double, node, values

ACTIVATIONS: list[tuple[str, dict[str, Any], Function, int]] = [
    ("Elu", {}, functional.elu, 9),
    ("Elu", {"alpha": 0.3}, lambda x: functional.elu(x, 0.3), 22),
    ("Selu", {}, torch.selu, 9),
    ("Celu", {}, torch.celu, 12),
    ("Celu", {"alpha": 0.7}, lambda x: functional.celu(x, 0.7), 18),
    ("Gelu", {}, functional.gelu, 20),
    ("Gelu", {"approximate": "tanh"}, lambda x: functional.gelu(x, approximate="tanh"), 20),
    ("Mish", {}, functional.mish, 18),
    ("Softsign", {}, functional.softsign, 9),
    ("ThresholdedRelu", {"alpha": 0.4}, lambda x: functional.threshold(x, 0.4, 0), 10),
    ("Shrink", {"lambd": 0.6}, lambda x: functional.hardshrink(x, 0.6), 9),
    ("Shrink", {"lambd": 0.3, "bias": 0.3}, lambda x: functional.softshrink(x, 0.3), 9),
    ("Abs", {}, torch.abs, 9),
    ("Sin", {}, torch.sin, 9),
    ("Cos", {}, torch.cos, 9),
    ("Tan", {}, torch.tan, 9),
    ("Atan", {}, torch.atan, 9),
    ("Sinh", {}, torch.sinh, 9),
    ("Cosh", {}, torch.cosh, 9),
    ("Asinh", {}, torch.asinh, 9),
]


@pytest.mark.parametrize(("operator", "attributes", "function", "opset"), ACTIVATIONS)
def test_functions_of_single_elements(
    operator: str, attributes: dict[str, Any], function: Function, opset: int
) -> None:
    # Away from the pole of the tangent, whose slope magnifies rounding.
    image = np.clip(values(2, 4, 5, 7), -1.3, 1.3)
    check(build([node(operator, **attributes)], opset=opset), function, image=image)


@pytest.mark.parametrize("operator", ["Elu", "Selu", "Celu", "Mish", "Gelu"])
def test_large_inputs_neither_overflow_nor_vanish(operator: str) -> None:
    image = np.array([-1e4, -100, -20, 20, 100, 1e4] * 2, np.float32).reshape(1, 4, 1, 3)
    functions: dict[str, Function] = {
        "Elu": functional.elu,
        "Selu": functional.selu,
        "Celu": functional.celu,
        "Mish": functional.mish,
        "Gelu": functional.gelu,
    }
    check(build([node(operator)], opset=20), functions[operator], image=image)


POSITIVE: list[tuple[str, Function]] = [
    ("Sqrt", torch.sqrt),
    ("Reciprocal", torch.reciprocal),
    ("Asin", torch.asin),
    ("Acos", torch.acos),
    ("Atanh", torch.atanh),
]


@pytest.mark.parametrize(("operator", "function"), POSITIVE)
def test_functions_of_positive_elements(operator: str, function: Function) -> None:
    image = np.clip(np.abs(values(2, 4, 5, 7)), 0.1, 0.9)
    check(build([node(operator)]), function, image=image)


@pytest.mark.parametrize("operator", ["Floor", "Ceil", "Round", "Sign"])
def test_steps_give_nothing(operator: str) -> None:
    nodes = [
        helper.make_node(operator, ["image"], ["step"]),
        helper.make_node("Mul", ["image", "step"], ["out"]),
    ]
    functions: dict[str, Function] = {
        "Floor": torch.floor,
        "Ceil": torch.ceil,
        "Round": torch.round,
        "Sign": torch.sign,
    }
    check(build(nodes), lambda x: x * functions[operator](x), image=3 * values(2, 4, 5, 7))


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0, 3.0, -1.0, 0.5, 2.5])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_powers_of_positive_elements(exponent: float, dtype: type[Any]) -> None:
    image = np.abs(values(2, 4, 5, 7)) + np.float32(0.2)
    power = np.array(exponent, dtype)
    check(build([node("Pow", "p")], {"p": power}), lambda x: x ** float(power), image=image)


def test_powers_at_zero_and_below() -> None:
    image = np.array([-2, -1, 0, 3], np.float32).reshape(1, 4, 1, 1)
    for exponent in (0, 1, 2, 3):
        model = build([node("Pow", "p")], {"p": np.array(exponent, np.float32)})
        check(model, lambda x, exponent=exponent: x**exponent, image=image)  # type: ignore[misc]


def test_powers_whose_exponent_depends_on_the_image() -> None:
    base = np.abs(values(4, 1, 7, seed=3)) + np.float32(0.3)
    base[0, 0, 0] = 0
    image = np.abs(values(2, 4, 5, 7)) + np.float32(0.5)
    model = build([helper.make_node("Pow", ["base", "image"], ["out"])], {"base": base})
    check(model, lambda x: double(base) ** x, image=image)


@settings(max_examples=20, deadline=None)
@given(shape=st.sampled_from([(1,), (4, 1, 1), (4, 5, 7), (7,)]), slope=st.floats(-2, 2, width=16))
def test_prelu(shape: tuple[int, ...], slope: float) -> None:
    slopes = values(*shape, seed=3) * np.float32(slope)
    model = build([node("PRelu", "slopes")], {"slopes": slopes}, opset=9)
    check(model, lambda x: torch.where(x > 0, x, x * double(slopes)), 2, 4, 5, 7)


def test_prelu_whose_slope_depends_on_the_image() -> None:
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=1),
        helper.make_node("PRelu", ["image", "mean"], ["out"]),
    ]
    model = build(nodes, {"axes": np.array([2, 3])})
    check(model, lambda x: torch.where(x > 0, x, x * x.mean((2, 3), keepdim=True)), 2, 4, 5, 7)


MANY: list[tuple[str, Function]] = [
    ("Sum", lambda parts: parts[0] + parts[1] + parts[2]),
    ("Mean", lambda parts: (parts[0] + parts[1] + parts[2]) / 3),
    ("Max", lambda parts: torch.maximum(torch.maximum(parts[0], parts[1]), parts[2])),
    ("Min", lambda parts: torch.minimum(torch.minimum(parts[0], parts[1]), parts[2])),
]


@pytest.mark.parametrize(("operator", "function"), MANY)
@pytest.mark.parametrize("opset", [8, 13])
def test_sums_and_extrema_of_many(operator: str, function: Any, opset: int) -> None:
    other = values(4, 1, 7, seed=4)
    nodes = [
        helper.make_node("Sigmoid", ["image"], ["curved"]),
        helper.make_node(operator, ["image", "other", "curved"], ["out"]),
    ]
    model = build(nodes, {"other": other}, opset=opset)
    check(model, lambda x: function([x, double(other), x.sigmoid()]), 2, 4, 5, 7)


@pytest.mark.parametrize("operator", ["Max", "Min"])
def test_equal_elements_share_the_gradient(operator: str) -> None:
    function = torch.maximum if operator == "Max" else torch.minimum
    image = np.array([-1, 0, 0.5, 2], np.float32).reshape(1, 4, 1, 1)
    model = build([node(operator, "zero")], {"zero": np.zeros(1, np.float32)})
    check(model, lambda x: function(x, torch.zeros_like(x)), image=image)
    alone = build([helper.make_node(operator, ["image"], ["out"])])
    check(alone, lambda x: x * 1, image=image)


def test_the_inverse_of_the_hyperbolic_cosine_above_one() -> None:
    image = np.abs(values(2, 4, 5, 7)) + np.float32(1.2)
    check(build([node("Acosh")]), torch.acosh, image=image)


def test_a_cast_to_the_type_of_another_value() -> None:
    nodes = [
        helper.make_node("CastLike", ["image", "like"], ["wide"]),
        helper.make_node("Sin", ["wide"], ["curved"]),
        helper.make_node("CastLike", ["curved", "image"], ["out"]),
    ]
    check(build(nodes, {"like": np.zeros(1, np.float64)}), torch.sin, 2, 4, 5, 7)


@pytest.mark.parametrize("opset", [10, 23])
def test_the_remainder_of_a_division(opset: int) -> None:
    divisor = np.array([0.7], np.float32)
    model = build([node("Mod", "divisor", fmod=1)], {"divisor": divisor}, opset=opset)
    check(model, lambda x: x.fmod(double(divisor)), 2, 4, 5, 7)
