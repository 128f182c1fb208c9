"""Elements taken from or put at given positions, against torch.autograd in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from torch import Tensor

from ..checking import DYNAMIC, build, check, double, node, values


@settings(max_examples=40, deadline=None)
@given(
    axis=st.integers(-4, 3),
    shape=st.sampled_from([(), (1,), (3,), (2, 3), (2, 1, 2)]),
    seed=st.integers(0, 9),
    known=st.booleans(),
    different=st.booleans(),
    opset=st.sampled_from([9, 11, 18]),
)
def test_gather(
    axis: int, shape: tuple[int, ...], seed: int, known: bool, different: bool, opset: int
) -> None:
    sizes = (6, 7, 6, 8)
    generator = np.random.default_rng(seed)
    count = int(np.prod(shape))
    positions = generator.permutation(sizes[axis])[:count]
    if not different:
        positions = generator.integers(0, sizes[axis], count)
    indices = positions.reshape(shape)
    if opset >= 11:
        indices = np.where(indices % 2, indices, indices - sizes[axis])  # from the end
    model = build(
        [node("Gather", "indices", axis=axis)],
        {"indices": indices},
        dims=sizes if known else ("N", "C", "H", "W"),
        opset=opset,
        output_rank=3 + len(shape),
    )

    def expected(x: Tensor) -> Tensor:
        taken = x.index_select(axis, torch.from_numpy(positions.reshape(-1)))
        dims = list(x.shape)
        dims[axis : axis + 1 or None] = shape
        return taken.reshape(dims)

    check(model, expected, *sizes)


def test_gather_at_positions_that_are_computed() -> None:
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["means"], keepdims=0),
        helper.make_node("TopK", ["means", "two"], ["largest", "order"], axis=0),
        helper.make_node("Gather", ["image", "order"], ["out"], axis=1),
    ]
    model = build(nodes, {"axes": np.array([0, 2, 3]), "two": np.array([2])})
    check(model, lambda x: x[:, x.mean((0, 2, 3)).topk(2).indices], 2, 4, 5, 7)


@pytest.mark.parametrize("axis", [1, -1])
def test_gather_elements(axis: int) -> None:
    size = (2, 4, 5, 7)[axis]
    indices = np.random.default_rng(0).integers(0, size, (2, 3, 5, 6))
    model = build([node("GatherElements", "indices", axis=axis)], {"indices": indices})
    # torch takes from a part of the other dimensions too.
    check(model, lambda x: x.gather(axis, torch.from_numpy(indices)), 2, 4, 5, 7)


def test_gather_nd() -> None:
    indices = np.array([[[0, 1], [1, -1]], [[0, 1], [0, 0]]])
    model = build([node("GatherND", "indices")], {"indices": indices})
    check(model, lambda x: x[indices[..., 0], indices[..., 1]], 2, 4, 5, 7)


@settings(max_examples=20, deadline=None)
@given(
    batches=st.integers(1, 2),
    count=st.integers(1, 2),
    rows=st.sampled_from([(), (3,), (2, 3)]),
    seed=st.integers(0, 99),
    opset=st.sampled_from([12, 18, 23]),
    known=st.booleans(),
)
def test_gather_nd_in_batches(
    batches: int, count: int, rows: tuple[int, ...], seed: int, opset: int, known: bool
) -> None:
    sizes = (2, 4, 5, 7)
    generator = np.random.default_rng(seed)
    shape = (*sizes[:batches], *rows)
    coordinates = [generator.integers(0, sizes[batches + at], shape) for at in range(count)]
    indices = np.stack(coordinates, -1)
    model = build(
        [node("GatherND", "indices", batch_dims=batches)],
        {"indices": indices},
        dims=sizes if known else DYNAMIC,
        opset=opset,
        output_rank=len(shape) + 4 - batches - count,
    )

    def expected(x: Tensor) -> Tensor:
        grids = np.meshgrid(*(np.arange(size) for size in sizes[:batches]), indexing="ij")
        batch = [grid.reshape(*grid.shape, *[1] * len(rows)) for grid in grids]
        return x[(*batch, *coordinates)]

    check(model, expected, *sizes)


@pytest.mark.parametrize("opset", [9, 11, 18])
@pytest.mark.parametrize("part", ["data", "updates", "both"])
def test_scatter_elements(opset: int, part: str) -> None:
    operator = "Scatter" if opset < 11 else "ScatterElements"
    indices = np.stack([np.random.default_rng(seed).permutation(7)[:3] for seed in range(20)])
    indices = indices.reshape(1, 4, 5, 3)
    other = values(1, 4, 5, 7 if part == "updates" else 3, seed=3)
    constants: dict[str, Any] = {"indices": indices, "other": other, "three": np.array([3])}
    nodes = {
        "data": [node(operator, "indices", "other", axis=3)],
        "updates": [helper.make_node(operator, ["other", "indices", "image"], ["out"], axis=3)],
        "both": [
            helper.make_node("Gather", ["image", "taken"], ["curved"], axis=3),
            node(operator, "indices", "curved", axis=3),
        ],
    }[part]
    constants["taken"] = np.array([1, 0, 2])

    def expected(x: Tensor) -> Tensor:
        where = torch.from_numpy(indices)
        if part == "data":
            return x.scatter(3, where, double(other))
        if part == "updates":
            return double(other).scatter(3, where, x)
        return x.scatter(3, where, x[..., [1, 0, 2]])

    model = build(nodes, constants, dims=DYNAMIC, opset=opset)
    check(model, expected, 1, 4, 5, 3 if part == "updates" else 7)


@pytest.mark.parametrize("part", ["data", "updates"])
def test_scattered_additions(part: str) -> None:
    indices = np.array([[[[0, 0, 2]] * 5] * 4])
    other = values(1, 4, 5, 7 if part == "updates" else 3, seed=3)
    order = ["image", "indices", "other"] if part == "data" else ["other", "indices", "image"]
    tested = helper.make_node("ScatterElements", order, ["out"], axis=-1, reduction="add")
    where = torch.from_numpy(indices)

    def expected(x: Tensor) -> Tensor:
        data, updates = (x, double(other)) if part == "data" else (double(other), x)
        return data.scatter_add(3, where, updates)

    model = build([tested], {"indices": indices, "other": other})
    check(model, expected, 1, 4, 5, 7 if part == "data" else 3)


@pytest.mark.parametrize("part", ["data", "updates"])
@pytest.mark.parametrize("opset", [11, 18])
def test_scatter_nd(part: str, opset: int) -> None:
    indices = np.array([[0, 1], [1, 3]])
    other = values(*((2, 4, 5, 7) if part == "updates" else (2, 5, 7)), seed=3)
    order = ["image", "indices", "other"] if part == "data" else ["other", "indices", "image"]
    dims = DYNAMIC if part == "data" else (2, "H", "W")
    model = build(
        [helper.make_node("ScatterND", order, ["out"])],
        {"indices": indices, "other": other},
        dims=dims,
        opset=opset,
        output_rank=4,
    )

    def expected(x: Tensor) -> Tensor:
        data, updates = (x, double(other)) if part == "data" else (double(other), x)
        return data.index_put((torch.tensor([0, 1]), torch.tensor([1, 3])), updates)

    check(model, expected, *((2, 4, 5, 7) if part == "data" else (2, 5, 7)))


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("axis", [-1, 1])
def test_the_largest_elements(largest: int, axis: int) -> None:
    tested = helper.make_node("TopK", ["image", "k"], ["out", "order"], axis=axis, largest=largest)
    model = build([tested], {"k": np.array([3])})
    check(model, lambda x: x.topk(3, axis, largest=bool(largest)).values, 2, 4, 5, 7)
