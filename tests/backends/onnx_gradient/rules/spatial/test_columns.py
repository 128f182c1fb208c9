"""Columns joined to an image, against torch.autograd in float64."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from ...checking import build, check, integers, node


@settings(max_examples=20, deadline=None)
@given(
    block=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pad=st.integers(0, 1),
    dilation=st.integers(1, 2),
    opset=st.integers(18, 23),
)
def test_columns_to_an_image(
    block: tuple[int, int], stride: tuple[int, int], pad: int, dilation: int, opset: int
) -> None:
    size = (7, 8)
    positions = 1
    for side, length, step in zip(size, block, stride, strict=True):
        positions *= (side + 2 * pad - dilation * (length - 1) - 1) // step + 1
    rows = 3 * block[0] * block[1]
    tested = node(
        "Col2Im",
        "size",
        "block",
        strides=list(stride),
        pads=[pad] * 4,
        dilations=[dilation] * 2,
    )
    constants = {"size": integers(*size), "block": integers(*block)}
    model = build([tested], constants, dims=("N", rows, positions), opset=opset, output_rank=4)
    check(
        model,
        lambda x: functional.fold(x, size, block, dilation, pad, stride),
        *(2, rows, positions),
        tolerance=5e-6,
    )
