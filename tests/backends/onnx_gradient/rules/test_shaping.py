"""Elements that are moved, repeated, split and joined, against torch.autograd in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from torch import Tensor
from torch.nn import functional

from ..checking import build, check, double, integers, node, values


@settings(max_examples=40, deadline=None)
@given(
    axis=st.integers(-3, 3),
    used=st.sets(st.integers(0, 2), min_size=1),
    opset=st.sampled_from([9, 11, 13, 18, 20]),
)
def test_split_with_any_outputs_used(axis: int, used: set[int], opset: int) -> None:
    parts = (1, 4, 2)
    names = ["part0", "part1", "part2"]
    inputs = ["image", "split"] if opset >= 13 else ["image"]
    attributes: dict[str, Any] = {"split": parts} if opset < 13 else {}
    if opset < 11:
        axis %= 4
    nodes = [
        helper.make_node("Split", inputs, names, axis=axis, **attributes),
        *(helper.make_node("Sin", [names[part]], [f"sin{part}"]) for part in sorted(used)),
        helper.make_node("Concat", [f"sin{part}" for part in sorted(used)], ["out"], axis=axis % 4),
    ]
    constants = {"split": integers(*parts)} if opset >= 13 else {}
    model = build(nodes, constants, dims=("N", "C", "H", "W"), opset=opset)

    def expected(x: Tensor) -> Tensor:
        pieces = torch.split(x, list(parts), axis)
        return torch.cat([pieces[part].sin() for part in sorted(used)], axis)

    check(model, expected, *[7] * 4)


def test_split_into_equal_parts() -> None:
    nodes = [
        helper.make_node("Split", ["image"], ["left", "right"], axis=1, num_outputs=2),
        helper.make_node("Mul", ["left", "right"], ["out"]),
    ]
    check(build(nodes), lambda x: x[:, :2] * x[:, 2:], 2, 4, 5, 7)


def test_a_channel_shuffle_as_shufflenet_has_it() -> None:
    nodes = [
        helper.make_node("Split", ["image"], ["left", "right"], axis=1),
        helper.make_node("Tanh", ["right"], ["curved"]),
        helper.make_node("Concat", ["left", "curved"], ["joined"], axis=1),
        helper.make_node("Reshape", ["joined", "pairs"], ["split"]),
        helper.make_node("Transpose", ["split"], ["turned"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Reshape", ["turned", "back"], ["out"]),
    ]
    constants = {"pairs": integers(2, 2, 2, 5, 7), "back": integers(2, 4, 5, 7)}

    def expected(x: Tensor) -> Tensor:
        return functional.channel_shuffle(torch.cat([x[:, :2], x[:, 2:].tanh()], 1), 2)

    check(build(nodes, constants, opset=13), expected, 2, 4, 5, 7)


@pytest.mark.parametrize("sizes", [(1, 4, 1, 7), (3, 4, 5, 7), (1, 4, 5, 1)])
@pytest.mark.parametrize("known", [True, False])
def test_expand(sizes: tuple[int, ...], known: bool) -> None:
    dims = sizes if known else (None,) * 4
    nodes = [
        helper.make_node("Expand", ["image", "shape"], ["wide"]),
        helper.make_node("Mul", ["wide", "other"], ["out"]),
    ]
    constants = {"shape": integers(3, 4, 5, 7), "other": values(3, 4, 5, 7, seed=2)}
    check(
        build(nodes, constants, dims=dims),
        lambda x: x.expand(3, 4, 5, 7) * double(constants["other"]),
        *sizes,
    )


def test_expand_to_more_dimensions() -> None:
    model = build([node("Expand", "shape")], {"shape": integers(2, 1, 5, 7)}, (5, 1), output_rank=4)
    check(model, lambda x: x.expand(2, 1, 5, 7), 5, 1)


@settings(max_examples=15, deadline=None)
@given(repeats=st.tuples(*[st.integers(1, 3)] * 4))
def test_tile(repeats: tuple[int, ...]) -> None:
    model = build([node("Tile", "repeats")], {"repeats": integers(*repeats)}, opset=9)
    check(model, lambda x: x.repeat(repeats), 2, 4, 2, 3)


@pytest.mark.parametrize("opset", [9, 11, 18])
@pytest.mark.parametrize("block", [2, 3])
def test_depth_to_space_and_back(opset: int, block: int) -> None:
    depth = 2 * block**2

    def by_blocks(x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        blocks = x.reshape(n, block, block, 2, h, w)
        return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, 2, h * block, w * block)

    dims = ("N", depth, "H", "W")
    model = build([node("DepthToSpace", blocksize=block)], dims=dims, opset=opset)
    check(model, by_blocks, 2, depth, 2, 3)
    if opset >= 11:
        tested = node("DepthToSpace", blocksize=block, mode="CRD")
        model = build([tested], dims=dims, opset=opset)
        check(model, lambda x: functional.pixel_shuffle(x, block), 2, depth, 2, 3)

    def to_blocks(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        blocks = x.reshape(n, c, h // block, block, w // block, block)
        return blocks.permute(0, 3, 5, 1, 2, 4).reshape(n, -1, h // block, w // block)

    model = build([node("SpaceToDepth", blocksize=block)], opset=opset)
    check(model, to_blocks, 2, 4, 2 * block, 3 * block)


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("axis", [-1, 1])
def test_cumulative_sum(exclusive: int, reverse: int, axis: int) -> None:
    def expected(x: Tensor) -> Tensor:
        x = x.flip(axis) if reverse else x
        total = x.cumsum(axis)
        total = total - x if exclusive else total
        return total.flip(axis) if reverse else total

    tested = node("CumSum", "axis", exclusive=exclusive, reverse=reverse)
    check(build([tested], {"axis": np.array(axis)}), expected, 2, 4, 5, 7, tolerance=5e-6)


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("diagonal", [None, -1, 2])
def test_triangles(upper: int, diagonal: int | None) -> None:
    constants = {} if diagonal is None else {"k": np.array(diagonal)}
    function = torch.triu if upper else torch.tril
    model = build([node("Trilu", *constants, upper=upper)], constants)
    check(model, lambda x: function(x, diagonal or 0), 2, 4, 5, 7)


def test_slices_as_before_opset_10() -> None:
    model = build([node("Slice", starts=[1, -4], ends=[99, -1], axes=[2, 3])], opset=9)
    check(model, lambda x: x[:, :, 1:, -4:-1], 2, 4, 5, 7)
    without_axes = build([node("Slice", starts=[0, 1], ends=[9, 3])], opset=9)
    check(without_axes, lambda x: x[:, 1:3], 2, 4, 5, 7)


def test_a_roll_by_slices_as_exporters_write_it() -> None:
    nodes = [
        helper.make_node("Slice", ["image", "two", "end", "axis"], ["tail"]),
        helper.make_node("Slice", ["image", "zero", "two", "axis"], ["head"]),
        helper.make_node("Concat", ["tail", "head"], ["out"], axis=3),
    ]
    constants = {
        "zero": integers(0),
        "two": integers(2),
        "end": integers(2**31),
        "axis": integers(3),
    }
    check(build(nodes, constants), lambda x: x.roll(-2, 3), 2, 4, 5, 7)


@pytest.mark.parametrize(("shift", "step"), [(0, 1), (3, 1), (3, -1)])
def test_a_roll_by_a_shift_that_depends_on_the_size(shift: int, step: int) -> None:
    """A shift of nothing has an empty part, as in Swin for maps no larger than a window."""
    ends = integers(2**31 if step > 0 else -(2**31))
    starts = "start" if step > 0 else "last"
    nodes = [
        helper.make_node("Shape", ["image"], ["width"], start=3),
        helper.make_node("Sub", ["width", "window"], ["start"]),
        helper.make_node("Sub", ["start", "one"], ["last"]),
        helper.make_node("Slice", ["image", starts, "end", "axis", "step"], ["tail"]),
        helper.make_node("Slice", ["image", "zero", "start", "axis"], ["head"]),
        helper.make_node("Concat", ["tail", "head"], ["out"], axis=3),
    ]
    constants = {
        "window": integers(7 - shift),
        "one": integers(1),
        "zero": integers(0),
        "end": ends,
        "axis": integers(3),
        "step": integers(step),
    }

    def expected(x: Tensor) -> Tensor:
        tail = x[..., shift:] if step > 0 else x[..., :shift].flip(3)
        return torch.cat([tail, x[..., :shift]], 3)

    check(build(nodes, constants), expected, 2, 4, 5, 7)
