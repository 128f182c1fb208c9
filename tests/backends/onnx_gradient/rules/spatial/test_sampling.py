"""Sampling at the points of a grid, and pooling by norms, against torch.autograd in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from ...checking import build, check, double, node, values


@settings(max_examples=40, deadline=None)
@given(
    mode=st.sampled_from(["bilinear", "nearest", "bicubic"]),
    padding=st.sampled_from(["zeros", "border", "reflection"]),
    aligned=st.booleans(),
    opset=st.sampled_from([16, 20]),
)
def test_sampling(mode: str, padding: str, aligned: bool, opset: int) -> None:
    grid = values(2, 3, 4, 2, seed=5)
    names = {"bilinear": "linear", "bicubic": "cubic"} if opset >= 20 else {}
    tested = node(
        "GridSample",
        "grid",
        mode=names.get(mode, mode),
        padding_mode=padding,
        align_corners=int(aligned),
    )

    def expected(x: Tensor) -> Tensor:
        return functional.grid_sample(x, double(grid), mode, padding, aligned)

    # Positions are rounded in float32: an error of 6e-8 of the position, in pixels.
    model = build([tested], {"grid": grid}, opset=opset)
    check(model, expected, 2, 4, 5, 6, tolerance=1e-5)


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("ceil", [0, 1])
def test_pooling_by_a_norm(p: int, ceil: int) -> None:
    tested = node(
        "LpPool", p=p, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], ceil_mode=ceil
    )

    def expected(x: Tensor) -> Tensor:
        x = functional.pad(x, (0, 1 + 2 * ceil, 1, 1 + 2 * ceil))
        windows = x.unfold(2, 3, 2).unfold(3, 2, 2)
        size = [
            -(-(side - kernel) // 2) + 1 if ceil else (side - kernel) // 2 + 1
            for side, kernel in ((6 + 2, 3), (7 + 1, 2))
        ]
        windows = windows[:, :, : size[0], : size[1]]
        norms: Tensor = torch.linalg.vector_norm(windows, p, (-2, -1))
        return norms

    check(build([tested], opset=18), expected, 2, 4, 6, 7, tolerance=5e-6)


def test_dilated_pooling_by_a_norm_with_windows_of_zeros() -> None:
    image = values(1, 4, 7, 7)
    image[:, :, :4] = 0
    tested = node("LpPool", p=2, kernel_shape=[2, 2], dilations=[2, 1])

    def expected(x: Tensor) -> Tensor:
        total = sum(
            x[:, :, 2 * row : 5 + 2 * row, column : 6 + column] ** 2
            for row in (0, 1)
            for column in (0, 1)
        )
        assert isinstance(total, Tensor)
        return torch.where(total == 0, 0, torch.where(total == 0, 1, total).sqrt())

    check(build([tested], opset=18), expected, image=image)
    assert np.isfinite(image).all()
