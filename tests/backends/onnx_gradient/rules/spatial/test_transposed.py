"""Transposed convolution against torch.autograd in float64."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from ...checking import build, check, double, node, values


@settings(max_examples=50, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    more=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 2, 4]),
)
def test_transposed_convolution(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    more: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> None:
    for axis in (0, 1):
        assume(more[axis] < stride[axis])
        assume(padding[axis] <= dilation[axis] * (kernel[axis] - 1))
    weight, bias = values(4, 6 // groups if groups < 4 else 2, *kernel), values(1)
    bias = values(weight.shape[1] * groups, seed=2)
    tested = node(
        "ConvTranspose",
        "weight",
        "bias",
        strides=stride,
        pads=padding * 2,
        output_padding=more,
        dilations=dilation,
        group=groups,
    )
    check(
        build([tested], {"weight": weight, "bias": bias}),
        lambda x: functional.conv_transpose2d(
            x, double(weight), double(bias), stride, padding, more, groups, dilation
        ),
        2,
        4,
        5,
        6,
    )


@pytest.mark.parametrize("automatic", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_implied_pads(automatic: str, kernel: int, stride: int) -> None:
    weight = values(2, 3, kernel, kernel)
    tested = node("ConvTranspose", "weight", auto_pad=automatic, strides=[stride, stride])
    model = build([tested], {"weight": weight}, dims=("N", 2, "H", "W"), opset=11)
    check_linear(model, (1, 2, 3, 4))


def test_a_fixed_shape() -> None:
    tested = node("ConvTranspose", "weight", strides=[2, 2], output_shape=[8, 9])
    model = build([tested], {"weight": values(2, 3, 4, 4)}, dims=(1, 2, 3, 4), opset=11)
    check_linear(model, (1, 2, 3, 4))


def check_linear(model: onnx.ModelProto, shape: tuple[int, ...]) -> None:
    """Compare the gradient with the transposed matrix of a linear operator, run by the runtime."""
    from ...checking import gradient, run

    size = int(np.prod(shape))
    columns = [
        run(model, {"image": row.reshape(shape)})["out"].reshape(-1)
        for row in np.eye(size, dtype=np.float32)
    ]
    out = run(model, {"image": np.zeros(shape, np.float32)})["out"]
    cotangent = values(*out.shape, seed=1)
    for on_cpu in (True, False):
        _, found = gradient(model, values(*shape), cotangent, on_cpu)
        np.testing.assert_allclose(
            found.reshape(-1), np.stack(columns) @ cotangent.reshape(-1), rtol=1e-5, atol=1e-5
        )
