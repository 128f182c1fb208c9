from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from stylectl.plugins.backbones.geometry import Arrangement, Geometry, Node, Window, geometries
from torch.nn import functional


def both(window: Window, *inputs: str) -> Node:
    return Node(inputs, (window, window))


@settings(max_examples=200, deadline=None)
@given(
    side=st.integers(1, 24),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 3),
    ceil=st.booleans(),
)
def test_a_window_has_as_many_positions_as_torch_finds(
    side: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool
) -> None:
    assume(padding <= kernel // 2)  # torch asks for it
    window = Window(kernel, stride, padding, padding, dilation, ceil)
    try:
        pooled = functional.max_pool2d(
            torch.zeros(1, 1, side, side), kernel, stride, padding, dilation, ceil
        )
    except RuntimeError:
        assert window.outputs(side) == 0
    else:
        assert window.outputs(side) == pooled.shape[-1]


def test_a_chain_adds_up() -> None:
    nodes = {
        "conv1": both(Window(7, 2, 3, 3), "image"),
        "pool": both(Window(3, 2, 1, 1), "conv1"),
        "conv2": both(Window(3, dilation=2), "pool"),
    }
    assert geometries(nodes, "image") == {
        "conv1": Geometry(2, 7, 1),
        "pool": Geometry(4, 11, 1),
        # 5 positions of the pooling, which need 9 of the convolution, which need 17 pixels.
        "conv2": Geometry(4, 11 + 2 * 2 * 4, 17),
    }


def test_directions_differ() -> None:
    nodes = {"flat": Node(("image",), (Window(1), Window(7))), "tall": Node(("image",), None)}
    assert geometries(nodes, "image") == {"flat": Geometry(1, 7, 7)}


def test_branches_see_what_either_sees() -> None:
    nodes = {
        "wide": both(Window(5, 2, 2, 2), "image"),
        "narrow": both(Window(1, 2), "image"),
        "sum": both(Window(), "wide", "narrow"),
    }
    assert geometries(nodes, "image")["sum"] == Geometry(2, 5, 1)


def test_padding_on_one_side_moves_the_view() -> None:
    nodes = {
        "left": both(Window(3, before=2), "image"),
        "right": both(Window(3, after=2), "image"),
        "sum": both(Window(), "left", "right"),
    }
    assert geometries(nodes, "image")["sum"] == Geometry(1, 5, 1)


def test_global_pooling_lets_its_readers_see_everything() -> None:
    nodes = {
        "conv": both(Window(3, 1, 1, 1), "image"),
        "mean": Node(("conv",), None),
        "gate": Node(("mean",), None),
        "scaled": both(Window(), "conv", "gate"),
        "next": both(Window(3, 2), "scaled"),
    }
    found = geometries(nodes, "image")
    assert found["scaled"] == Geometry(1, None, 1)
    assert found["next"] == Geometry(2, None, 3)


def test_what_does_not_come_from_the_image_has_no_say() -> None:
    nodes = {"table": Node((), None), "sum": both(Window(), "image", "table")}
    assert geometries(nodes, "image") == {"sum": Geometry(1, 1, 1)}


def test_branches_of_other_sizes_never_fit() -> None:
    nodes = {
        "half": both(Window(2, 2), "image"),
        "sum": both(Window(), "half", "image"),
    }
    assert "sum" not in geometries(nodes, "image")


@pytest.mark.parametrize(("least", "smallest"), [(1, 1), (4, 4)])
def test_an_operation_may_need_a_larger_input(least: int, smallest: int) -> None:
    nodes = {"reflected": both(Window(1, before=3, after=3, least=least), "image")}
    assert geometries(nodes, "image")["reflected"].smallest_side == smallest


def arranged(stride: Fraction, *inputs: str, offset: int = 0) -> Node:
    direction = Arrangement(stride, Fraction(offset))
    return Node(inputs, arranged=(direction, direction))


def test_maps_that_are_arranged_anew_may_have_more_positions_than_pixels() -> None:
    nodes = {
        "conv": both(Window(3), "image"),
        "larger": arranged(Fraction(1, 2), "conv", offset=-2),
        "next": both(Window(3, 3), "larger"),
        "smaller": both(Window(2, 2), "larger"),
    }
    found = geometries(nodes, "image")
    assert found["larger"] == Geometry(1, None, 3, Fraction(1, 2))
    # 3 positions, half a pixel apart, of an image that is 2 pixels larger than the map.
    assert found["next"] == Geometry(2, None, 4, Fraction(3, 2))
    assert found["smaller"] == Geometry(1, None, 3)


def test_maps_that_are_arranged_anew_need_what_they_are_made_of() -> None:
    nodes = {
        "deep": both(Window(8, 8), "image"),
        "up": arranged(Fraction(1), "deep"),
        "sum": both(Window(), "up", "image"),
    }
    found = geometries(nodes, "image")
    assert found["up"].smallest_side == found["sum"].smallest_side == 8
    tokens = {
        "deep": both(Window(4, 4), "image"),
        "attention": Node(("deep",), None),
        "map": arranged(Fraction(4), "attention"),
    }
    assert geometries(tokens, "image")["map"] == Geometry(4, None, 4)
