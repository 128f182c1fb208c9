"""Loops of a few turns and functions, which are written out, against torch.autograd in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from stylectl.backends.onnx_gradient import NoGradientError, differentiate
from torch import Tensor
from torch.nn import functional

from .checking import build, check, double, integers, node, values

KERNEL = values(4, 4, 3, 3, seed=5) / np.float32(6)
make = helper.make_node


def info(name: str, element: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    scalar = () if element != TensorProto.FLOAT else None
    return helper.make_tensor_value_info(name, element, scalar)


def mean(opset: int, value: str, output: str) -> NodeProto:
    if opset < 18:
        return make("ReduceMean", [value], [output], axes=[2, 3], keepdims=1)
    return make("ReduceMean", [value, "axes"], [output], keepdims=1)


def loop_body(opset: int, *end: NodeProto) -> GraphProto:
    """h -> tanh(conv(h) + image), and the mean of that; `go` is the condition that `end` gives."""
    nodes = [
        make("Conv", ["h", "kernel"], ["conv"], pads=[1] * 4),
        make("Add", ["conv", "image"], ["sum"]),
        make("Tanh", ["sum"], ["next"]),
        mean(opset, "next", "mean"),
        *end,
    ]
    inputs = [info("turn", TensorProto.INT64), info("going", TensorProto.BOOL), info("h")]
    outputs = [info("go", TensorProto.BOOL), info("next"), info("mean")]
    return helper.make_graph(nodes, "body", inputs, outputs)


ALWAYS = {
    "passed on": make("Identity", ["going"], ["go"]),
    "stated": make("Constant", [], ["go"], value=numpy_helper.from_array(np.array(True))),
}


def looped(opset: int, turns: Any, *end: NodeProto, means: bool = False) -> onnx.ModelProto:
    loop = make(
        "Loop", ["turns", "", "image"], ["last", "means"], "loop", body=loop_body(opset, *end)
    )
    constants = {"kernel": KERNEL, "axes": integers(2, 3), "turns": np.array(turns)}
    constants["limit"] = np.array(0.1, np.float32)
    if not means:
        return build([loop, make("Identity", ["last"], ["out"])], constants, opset=opset)
    total = {"inputs": ["means"], "axes": [0]} if opset < 13 else {"inputs": ["means", "first"]}
    nodes = [
        loop,
        make("ReduceSum", outputs=["total"], keepdims=0, **total),
        make("Add", ["last", "total"], ["out"]),
    ]
    return build(nodes, {**constants, "first": integers(0)}, opset=opset)


@settings(max_examples=12, deadline=None)
@given(opset=st.integers(9, 23), turns=st.integers(1, 5), end=st.sampled_from([*ALWAYS]))
def test_a_loop_of_a_few_turns(opset: int, turns: int, end: str) -> None:
    def expected(x: Tensor) -> Tensor:
        h, total = x, torch.zeros(2, 4, 1, 1).double()
        for _ in range(turns):
            h = (functional.conv2d(h, double(KERNEL), padding=1) + x).tanh()
            total = total + h.mean((2, 3), keepdim=True)
        return h + total

    model = looped(opset, turns, ALWAYS[end], means=True)
    check(model, expected, 2, 4, 5, 7, tolerance=1e-5)


@pytest.mark.parametrize("turns", [0, 65, 2**62])
def test_a_loop_of_no_turn_or_of_many_is_refused(turns: int) -> None:
    with pytest.raises(NoGradientError, match=r"Loop \(node 'loop'\): .* at most 64"):
        differentiate(looped(18, turns, ALWAYS["passed on"]))


def test_a_loop_that_the_image_ends_is_refused() -> None:
    end = (
        make("ReduceMax", ["next"], ["largest"], keepdims=0),
        make("Greater", ["largest", "limit"], ["go"]),
    )
    with pytest.raises(NoGradientError, match=r"Loop \(node 'loop'\): .*condition is always true"):
        differentiate(looped(18, 3, *end))


def test_loops_in_loops_that_are_too_many_nodes_are_refused() -> None:
    def nested(level: int) -> GraphProto:
        last = make("Tanh", [f"h{level}"], [f"next{level}"])
        if level:
            inputs = ["turns", "", f"h{level}"]
            last = make("Loop", inputs, [f"next{level}"], f"loop{level}", body=nested(level - 1))
        return helper.make_graph(
            [last, make("Identity", [f"going{level}"], [f"go{level}"])],
            "body",
            [
                info(f"turn{level}", TensorProto.INT64),
                info(f"going{level}", TensorProto.BOOL),
                info(f"h{level}"),
            ],
            [info(f"go{level}", TensorProto.BOOL), info(f"next{level}")],
        )

    loop = make("Loop", ["turns", "", "image"], ["out"], "loop", body=nested(3))
    with pytest.raises(NoGradientError, match="a loop is differentiated if"):
        differentiate(build([loop], {"turns": np.array(64)}))


@settings(max_examples=12, deadline=None)
@given(
    opset=st.integers(9, 23),
    axis=st.integers(0, 2),
    backwards=st.booleans(),
    output_backwards=st.booleans(),
)
def test_a_scan(opset: int, axis: int, backwards: bool, output_backwards: bool) -> None:
    nodes = [make("Add", ["sum", "slice"], ["next"]), make("Mul", ["next", "next"], ["square"])]
    body = helper.make_graph(
        nodes, "body", [info("sum"), info("slice")], [info("next"), info("square")]
    )
    scan = make(
        "Scan",
        ["first", "image"],
        ["end", "out"],
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[axis],
        scan_output_axes=[axis],
        scan_input_directions=[int(backwards)],
        scan_output_directions=[int(output_backwards)],
    )
    sizes = (2, 4, 5, 7)
    first = np.zeros([size for at, size in enumerate(sizes) if at != axis], np.float32)
    model = build([scan], {"first": first}, dims=sizes, opset=opset)

    def expected(x: Tensor) -> Tensor:
        sums = (x.flip(axis) if backwards else x).cumsum(axis).square()
        return sums.flip(axis) if output_backwards else sums

    check(model, expected, *sizes, tolerance=1e-5)


def test_a_scan_over_a_size_of_the_image_is_refused() -> None:
    body = helper.make_graph(
        [make("Tanh", ["slice"], ["curved"])], "body", [info("slice")], [info("curved")]
    )
    scan = make("Scan", ["image"], ["out"], "scan", body=body, num_scan_inputs=1)
    with pytest.raises(NoGradientError, match=r"Scan \(node 'scan'\): .* without the image"):
        differentiate(build([scan]))


@settings(max_examples=20, deadline=None)
@given(
    opset=st.sampled_from([23, 24]),
    image=st.sampled_from(["q", "k", "v"]),
    masked=st.booleans(),
    causal=st.booleans(),
    scale=st.sampled_from([None, 0.3]),
)
def test_attention(opset: int, image: str, masked: bool, causal: bool, scale: float | None) -> None:
    arrays = {name: values(2, 4, 5, 8, seed=at) for at, name in enumerate("qkv")}
    names = ["image" if name == image else name for name in "qkv"] + ["mask"] * masked
    constants = {name: array for name, array in arrays.items() if name != image}
    mask = values(5, 5, seed=9)
    constants |= {"mask": mask} if masked else {}
    attributes: dict[str, Any] = {"is_causal": int(causal)}
    attributes |= {} if scale is None else {"scale": scale}
    model = build(
        [make("Attention", names, ["out"], "attention", **attributes)],
        constants,
        dims=(2, 4, "S", 8),
        opset=opset,
    )

    def expected(x: Tensor) -> Tensor:
        q, k, v = (x if name == image else double(arrays[name]) for name in "qkv")
        added = double(mask) if masked else torch.zeros(5, 5).double()
        if causal:
            added = added.masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf)
        return functional.scaled_dot_product_attention(q, k, v, added, scale=scale)

    check(model, expected, image=arrays[image], tolerance=1e-5)


def test_attention_of_sequences_with_fewer_heads_for_keys() -> None:
    constants = {"k": values(2, 6, 2 * 4, seed=1), "v": values(2, 6, 2 * 4, seed=2)}
    tested = node("Attention", *constants, q_num_heads=4, kv_num_heads=2)
    model = build([tested], constants, dims=(2, "S", 16), opset=23)

    def heads(x: Tensor, count: int) -> Tensor:
        return x.view(2, -1, count, 4).transpose(1, 2)

    def expected(x: Tensor) -> Tensor:
        k, v = (heads(double(value), 2) for value in constants.values())
        y = functional.scaled_dot_product_attention(heads(x, 4), k, v, enable_gqa=True)
        return y.transpose(1, 2).reshape(2, -1, 16)

    check(model, expected, 2, 5, 16, tolerance=1e-5)


@pytest.mark.parametrize("sizes", [(3, 9), (8, 4)])
def test_cropping_and_padding_around_the_centre(sizes: tuple[int, int]) -> None:
    tested = node("CenterCropPad", "sizes", axes=[2, 3])
    model = build([tested], {"sizes": integers(*sizes)}, dims=(2, 4, 5, 7), opset=18)

    def expected(x: Tensor) -> Tensor:
        for axis, size in zip((2, 3), sizes, strict=True):
            less = x.shape[axis] - size
            if less > 0:
                x = x.narrow(axis, less // 2, size)
            else:
                pads = [-less // 2, -less - -less // 2]
                x = functional.pad(x, [0, 0] * (3 - axis) + pads)
        return x

    check(model, expected, 2, 4, 5, 7)
