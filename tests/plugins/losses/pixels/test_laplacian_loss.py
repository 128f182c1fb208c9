from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from stylectl.core.interfaces.specs import LossTermArguments
from stylectl.core.interfaces.terms import IMAGE_LAYER, Loss, References
from stylectl.plugins.losses.pixels.laplacian import (
    LaplacianLoss,
    LaplacianOptions,
    pooled_laplacian,
)
from torch import Tensor

# At most 1500 pixels up to 1 are averaged, then twelve and more of them added up: 1.1e-16 each.
ROUNDING = 1e-12


def picture(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bound(content: Tensor, *pools: int) -> Loss:
    term = LaplacianLoss(LossTermArguments(layers={}, options=LaplacianOptions(pools=pools)))
    return term.bind(References(content={IMAGE_LAYER: content}, styles=()))


def laplacian(image: Tensor, pool: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Square by square and place by place, each color by itself."""
    pixels = image[0].numpy()
    rows, columns = -(-pixels.shape[1] // pool), -(-pixels.shape[2] // pool)
    total = np.zeros((rows, columns))
    for color in pixels:
        pooled = np.zeros((rows, columns))
        for y in range(rows):
            for x in range(columns):
                square = color[y * pool : (y + 1) * pool, x * pool : (x + 1) * pool]
                pooled[y, x] = square.mean()
        for y in range(rows):
            for x in range(columns):
                for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                    near = (min(max(y + down, 0), rows - 1), min(max(x + right, 0), columns - 1))
                    total[y, x] += pooled[y, x] - pooled[near]
    return total


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 37),
    pool=st.integers(1, 17),
    seed=st.integers(0, 999),
)
def test_agrees_with_a_loop_over_the_squares(height: int, width: int, pool: int, seed: int) -> None:
    image = picture(seed, 1, 3, height, width)
    own = pooled_laplacian(image, pool)[0, 0].numpy()
    expected = laplacian(image, pool)
    assert own.shape == expected.shape
    np.testing.assert_allclose(own, expected, rtol=0, atol=ROUNDING)


def test_the_loss_is_the_mean_square_of_the_difference_for_each_pool() -> None:
    result, content = picture(1, 1, 3, 35, 41), picture(2, 1, 3, 35, 41)
    expected = sum(
        ((laplacian(result, pool) - laplacian(content, pool)) ** 2).mean() for pool in (4, 16)
    )
    value = bound(content, 4, 16)({IMAGE_LAYER: result}).item()
    assert value == pytest.approx(expected, rel=ROUNDING)


def test_another_tint_loses_nothing() -> None:
    content = picture(1, 1, 3, 32, 48)
    tint = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64).view(1, 3, 1, 1)
    assert bound(content, 4, 16)({IMAGE_LAYER: content + tint}).item() < ROUNDING**2


def test_detail_finer_than_the_squares_loses_nothing() -> None:
    content = picture(1, 1, 3, 32, 48)
    fine = torch.ones(32, 48, dtype=torch.float64)
    fine[::2] *= -1
    fine[:, ::2] *= -1
    loss = bound(content, 4)
    assert loss({IMAGE_LAYER: content + 0.2 * fine}).item() < ROUNDING**2
    # Without pooling a chessboard of +-0.2 in three colors has a Laplacian of 8 * 0.6 inside.
    assert bound(content, 1)({IMAGE_LAYER: content + 0.2 * fine}).item() > 4.0**2


def test_a_mirrored_pair_has_the_same_loss() -> None:
    result, content = picture(1, 1, 3, 32, 48), picture(2, 1, 3, 32, 48)
    value = bound(content, 4, 16)({IMAGE_LAYER: result}).item()
    mirrored = bound(content.flip(3), 4, 16)({IMAGE_LAYER: result.flip(3)}).item()
    assert mirrored == pytest.approx(value, rel=ROUNDING)


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (20, 20)])
def test_black_and_tiny_images_are_finite(size: tuple[int, int]) -> None:
    black = torch.zeros(1, 3, *size)
    for content in (black, torch.ones(1, 3, *size)):
        leaf = black.clone().requires_grad_()
        loss = bound(content, 4, 16)({IMAGE_LAYER: leaf})
        (gradient,) = torch.autograd.grad(loss, leaf)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("pools", [(), (0,), (4, -1)])
def test_pools_must_be_sides_of_squares(pools: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        LaplacianOptions(pools=pools)
