"""Norms, products and extrema along axes, against torch.autograd in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stylectl.backends.onnx_gradient import NoGradientError, differentiate
from torch import Tensor

from ..checking import build, check, integers, node, values

AXES: list[tuple[int, ...] | None] = [None, (1,), (2, 3), (-1,), (0, -2), (0, 1, 2, 3)]


def over(axes: tuple[int, ...] | None) -> list[int]:
    return list(range(4)) if axes is None else [axis % 4 for axis in axes]


def product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted(axes, reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


FUNCTIONS: dict[str, Any] = {
    "ReduceMax": lambda x, axes, keep: x.amax(axes, keepdim=keep),
    "ReduceMin": lambda x, axes, keep: x.amin(axes, keepdim=keep),
    "ReduceL1": lambda x, axes, keep: x.abs().sum(axes, keepdim=keep),
    "ReduceL2": lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keepdim=keep),
    "ReduceSumSquare": lambda x, axes, keep: (x * x).sum(axes, keepdim=keep),
    "ReduceLogSum": lambda x, axes, keep: x.sum(axes, keepdim=keep).log(),
    "ReduceLogSumExp": lambda x, axes, keep: x.logsumexp(axes, keepdim=keep),
    "ReduceProd": product,
}


@settings(max_examples=60, deadline=None)
@given(
    operator=st.sampled_from(sorted(FUNCTIONS)),
    axes=st.sampled_from(AXES),
    keep=st.booleans(),
    opset=st.sampled_from([9, 13, 18, 20]),
)
def test_reductions(operator: str, axes: tuple[int, ...] | None, keep: bool, opset: int) -> None:
    image = values(2, 3, 2, 3) + np.float32(0.1)
    if operator == "ReduceLogSum":
        image = np.abs(image)
    rank = 4 if keep else 4 - len(over(axes))
    if opset >= 18:
        constants = {} if axes is None else {"axes": integers(*axes)}
        tested = node(operator, *constants, keepdims=int(keep))
        model = build([tested], constants, (None, 3, None, None), opset, rank)
    else:
        attributes = {} if axes is None else {"axes": axes}
        tested = node(operator, keepdims=int(keep), **attributes)
        if axes is not None and min(axes) < 0 and opset < 11:
            return  # axes count from the end since opset 11
        model = build([tested], {}, (None, 3, None, None), opset, rank)
    check(model, lambda x: FUNCTIONS[operator](x, over(axes), keep), image=image, tolerance=1e-5)


def test_axes_that_are_stated_but_none() -> None:
    constants = {"axes": np.zeros(0, np.int64)}
    model = build([node("ReduceMax", "axes", keepdims=0)], constants, output_rank=0)
    check(model, torch.amax, 2, 4, 3, 5)


@pytest.mark.parametrize("operator", ["ReduceSum", "ReduceL1"])
def test_a_reduction_that_reduces_no_axis_is_refused(operator: str) -> None:
    model = build([node(operator, keepdims=0, noop_with_empty_axes=1)], {}, opset=18)
    with pytest.raises(NoGradientError, match=f"{operator}.*it reduces no axis"):
        differentiate(model)


@pytest.mark.parametrize("zeros", [1, 2])
def test_products_with_zeros(zeros: int) -> None:
    image = values(1, 4, 2, 3)
    image[0, 0, 0, :zeros] = 0
    model = build([node("ReduceProd", "axes", keepdims=1)], {"axes": integers(3)})
    check(model, lambda x: x.prod(3, keepdim=True), image=image)


def test_the_norm_of_nothing_gives_nothing() -> None:
    image = values(1, 4, 2, 3)
    image[:, :, 0] = 0
    model = build([node("ReduceL2", "axes", keepdims=0)], {"axes": integers(3)}, output_rank=3)
    check(model, lambda x: torch.linalg.vector_norm(x, 2, 3), image=image)


def test_equal_maxima_share_the_gradient() -> None:
    image = np.array([1, 2, 2, 0], np.float32).reshape(1, 4, 1, 1)
    model = build([node("ReduceMax", "axes")], {"axes": integers(1)})
    check(model, lambda x: x.amax(1, keepdim=True), image=image)


def test_large_exponents_do_not_overflow() -> None:
    image = np.array([1000, 999, -1000, 0], np.float32).reshape(1, 4, 1, 1)
    model = build([node("ReduceLogSumExp", "axes")], {"axes": integers(1)})
    # The output keeps 7 digits of 1000, so that its difference from 999 has an error of 6e-5.
    check(model, lambda x: x.logsumexp(1, keepdim=True), image=image, tolerance=6e-5)


def test_global_pooling() -> None:
    check(build([node("GlobalMaxPool")]), lambda x: x.amax((2, 3), keepdim=True), 2, 4, 5, 7)
    for p in (1, 2):
        check(
            build([node("GlobalLpPool", p=p)]),
            lambda x, p=p: torch.linalg.vector_norm(x, p, (2, 3), keepdim=True),  # type: ignore[misc]
            2, 4, 5, 7,
        )  # fmt: skip
