"""Products of matrices and Einstein sums, against torch.autograd in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from stylectl.backends.onnx_gradient import NoGradientError, differentiate
from torch import Tensor

from ..checking import build, check, double, node, values

SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((2, 4, 5, 6), (6, 3)),
    ((2, 4, 5, 6), (4, 6, 3)),
    ((2, 4, 5, 6), (1, 6, 3)),
    ((2, 1, 5, 6), (4, 6, 3)),
    ((1, 4, 5, 6), (2, 1, 6, 3)),
    ((5, 6), (2, 4, 6, 3)),
    ((2, 4, 5, 6), (6,)),
    ((6,), (2, 4, 6, 3)),
    ((6,), (6,)),
    ((6,), (6, 3)),
    ((5, 6), (6,)),
]


@settings(max_examples=60, deadline=None)
@given(shapes=st.sampled_from(SHAPES), first=st.booleans(), known=st.booleans())
def test_products_of_batches(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], first: bool, known: bool
) -> None:
    own, shape = shapes if first else shapes[::-1]
    other = values(*shape, seed=2)
    order = ["image", "other"] if first else ["other", "image"]
    dims: tuple[int | None, ...] = own if known else (None,) * len(own)
    left, right = shapes
    rank = len(torch.matmul(torch.zeros(left), torch.zeros(right)).shape)
    model = build(
        [helper.make_node("MatMul", order, ["out"])], {"other": other}, dims=dims, output_rank=rank
    )
    check(model, lambda x: x @ double(other) if first else double(other) @ x, *own)


EQUATIONS: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("nchw,ck->nkhw", ((2, 4, 5, 6), (4, 3))),
    ("nchw,nchw->nc", ((2, 4, 5, 6), (2, 4, 5, 6))),
    ("bhid,bhjd->bhij", ((2, 3, 4, 5), (2, 3, 6, 5))),
    ("bhij,bhjd->bhid", ((2, 3, 4, 5), (2, 3, 5, 6))),
    ("ij,jk,kl->il", ((3, 4), (4, 5), (5, 2))),
    ("ij->ji", ((3, 4),)),
    ("nchw->nc", ((2, 4, 5, 6),)),
    ("ij->", ((3, 4),)),
    ("ij,ij->", ((3, 4), (3, 4))),
    ("i,j->ij", ((3,), (4,))),
    ("ab,cb", ((3, 4), (5, 4))),
    ("...ij,...jk->...ik", ((2, 3, 4, 5), (2, 3, 5, 6))),
    ("...i,ij->...j", ((2, 3, 4), (4, 5))),
    ("ij, jk -> i", ((3, 4), (4, 5))),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_einstein_sums(equation: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    for position, own in enumerate(shapes):
        others = [values(*shape, seed=seed) for seed, shape in enumerate(shapes)]
        operands = [double(other) for other in others]
        names = [f"other{index}" for index in range(len(shapes))]
        constants = dict(zip(names, others, strict=True))
        del constants[names[position]]
        names[position] = "image"

        left, right = operands[:position], operands[position + 1 :]

        def expected(
            x: torch.Tensor, left: list[Any] = left, right: list[Any] = right
        ) -> torch.Tensor:
            return torch.einsum(equation, *left, x, *right)

        rank = len(expected(torch.zeros(own, dtype=torch.float64)).shape)
        tested = helper.make_node("Einsum", names, ["out"], equation=equation)
        model = build([tested], constants, dims=own, opset=12, output_rank=rank)
        check(model, expected, *own)


@pytest.mark.parametrize("equation", ["ii->i", "i...,...->..."])
def test_einstein_sums_that_are_refused(equation: str) -> None:
    operands = ["image", "other"] if "," in equation else ["image"]
    tested = helper.make_node("Einsum", operands, ["out"], "tested", equation=equation)
    model = build([tested], {"other": np.ones(1, np.float32)}, dims=(4, 4), output_rank=1)
    onnx.checker.check_model(model)
    with pytest.raises(NoGradientError, match=r"Einsum \(node 'tested'\)"):
        differentiate(model)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("dimensions", [0, 4])
def test_rotary_embedding(interleaved: int, dimensions: int) -> None:
    turned = dimensions or 8
    angles = values(2, 5, turned // 2, seed=1)
    constants = {"cos": np.cos(angles), "sin": np.sin(angles)}
    tested = node(
        "RotaryEmbedding", *constants, interleaved=interleaved, rotary_embedding_dim=dimensions
    )
    model = build([tested], constants, dims=(2, 4, 5, 8), opset=23)

    def expected(x: Tensor) -> Tensor:
        cos, sin = (double(value)[:, None] for value in constants.values())
        part, rest = x[..., :turned], x[..., turned:]
        if interleaved:
            real, imaginary = part[..., ::2], part[..., 1::2]
        else:
            real, imaginary = part.chunk(2, -1)
        pair = [cos * real - sin * imaginary, sin * real + cos * imaginary]
        part = torch.stack(pair, -1).flatten(-2) if interleaved else torch.cat(pair, -1)
        return torch.cat([part, rest], -1)

    check(model, expected, 2, 4, 5, 8)
