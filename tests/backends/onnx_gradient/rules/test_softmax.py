"""Softmax and its logarithm against torch.autograd in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from ..checking import build, check, node, values


@settings(max_examples=30, deadline=None)
@given(
    logarithm=st.booleans(),
    axis=st.integers(-4, 3),
    opset=st.sampled_from([9, 11, 13, 18, 23]),
    factor=st.sampled_from([1, 3]),
)
def test_softmax(logarithm: bool, axis: int, opset: int, factor: int) -> None:
    function = functional.log_softmax if logarithm else functional.softmax

    def expected(x: Tensor) -> Tensor:
        if opset >= 13:
            return function(x, axis)
        # Before opset 13 over this axis and all later ones.
        first = axis % 4
        return function(x.flatten(first), first).reshape(x.shape)

    operator = "LogSoftmax" if logarithm else "Softmax"
    model = build([node(operator, axis=axis)], opset=opset)
    # The gradient is a difference of numbers that may be a hundred times as large.
    check(model, expected, image=factor * values(2, 4, 5, 7), tolerance=1e-5)


@pytest.mark.parametrize("opset", [12, 13])
def test_the_axis_that_is_not_stated(opset: int) -> None:
    def expected(x: Tensor) -> Tensor:
        return x.softmax(-1) if opset >= 13 else x.flatten(1).softmax(1).reshape(x.shape)

    check(build([node("Softmax")], opset=opset), expected, 2, 4, 5, 7)


def test_logits_out_of_the_range_of_powers() -> None:
    image = np.array([1e4, -1e4, 9999, 0], np.float32).reshape(1, 4, 1, 1)
    check(
        build([node("Softmax", axis=1)]), lambda x: torch.softmax(x, 1), image=image, tolerance=1e-5
    )
    check(build([node("LogSoftmax", axis=1)]), lambda x: torch.log_softmax(x, 1), image=image)
