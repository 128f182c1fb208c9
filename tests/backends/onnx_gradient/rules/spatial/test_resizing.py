"""Resizing in every mode: linear, so that its transpose is known by its columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from torch import Tensor
from torch.nn import functional

from ...checking import build, check, integers, node
from .test_transposed import check_linear


@settings(max_examples=40, deadline=None)
@given(
    mode=st.sampled_from(["nearest", "linear", "cubic"]),
    places=st.sampled_from(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]),
    factors=st.tuples(*[st.sampled_from([0.5, 0.6, 1.0, 1.5, 2.0])] * 2),
    outside=st.booleans(),
    opset=st.sampled_from([11, 13, 18, 19]),
)
def test_modes(
    mode: str, places: str, factors: tuple[float, float], outside: bool, opset: int
) -> None:
    attributes: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": places}
    if mode == "cubic" and places == "half_pixel":
        attributes["exclude_outside"] = int(outside)
    constants = {
        "roi": np.zeros(0, np.float32),
        "factors": np.array([1, 1, *factors], np.float32),
    }
    model = build([node("Resize", "roi", "factors", **attributes)], constants, opset=opset)
    check_linear(model, (1, 4, 4, 5))


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("size", [(3, 4), (5, 2), (9, 11)])
@pytest.mark.parametrize("outside", [0, 1])
def test_antialiasing(mode: str, size: tuple[int, int], outside: int) -> None:
    attributes: dict[str, Any] = {"antialias": 1, "exclude_outside": outside, "axes": [2, 3]}
    attributes |= {"cubic_coeff_a": -0.5} if mode == "cubic" else {}
    tested = node("Resize", "", "", "sizes", mode=mode, **attributes)
    model = build([tested], {"sizes": integers(*size)}, opset=18)
    check_linear(model, (1, 4, 6, 8))
    if outside:
        torch_mode = "bilinear" if mode == "linear" else "bicubic"

        def expected(x: Tensor) -> Tensor:
            return functional.interpolate(x, size, mode=torch_mode, antialias=True)

        check(model, expected, 1, 4, 6, 8)


def test_axes_in_another_order() -> None:
    constants = {"factors": np.array([2, 3], np.float32)}
    tested = node("Resize", "", "factors", axes=[3, 2], coordinate_transformation_mode="asymmetric")
    check_linear(build([tested], constants, opset=18), (1, 4, 2, 3))


def test_channels_last() -> None:
    constants = {"factors": np.array([1, 2, 2, 1], np.float32)}
    tested = node("Resize", "", "factors", mode="linear")
    check_linear(build([tested], constants, dims=("N", "H", "W", 2), opset=18), (1, 3, 4, 2))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsample(mode: str) -> None:
    constants = {"factors": np.array([1, 1, 2, 3], np.float32)}
    model = build([node("Upsample", "factors", mode=mode)], constants, opset=9)
    check_linear(model, (1, 4, 3, 4))
    older = build([node("Upsample", mode=mode, scales=[1.0, 1.0, 2.0, 3.0])], opset=7)
    check_linear(older, (1, 4, 3, 4))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resizing_of_opset_10(mode: str) -> None:
    constants = {"factors": np.array([1, 1, 2, 1.5], np.float32)}
    check_linear(build([node("Resize", "factors", mode=mode)], constants, opset=10), (1, 4, 3, 4))


def test_sizes_that_are_computed() -> None:
    nodes = [
        helper.make_node("Shape", ["image"], ["shape"]),
        helper.make_node("Mul", ["shape", "twice"], ["sizes"]),
        node("Resize", "", "", "sizes", mode="linear"),
    ]
    check_linear(build(nodes, {"twice": integers(1, 1, 2, 2)}), (1, 4, 3, 4))
