from __future__ import annotations

import numpy as np
import pytest
import torch
from stylectl.core.interfaces.specs import LossTermArguments
from stylectl.core.interfaces.statistics import FeatureTile
from stylectl.core.interfaces.terms import Loss, References, Style
from stylectl.plugins.losses.moments import MomentsLoss, MomentsOptions
from torch import Tensor

# Moments sum at most 120 numbers, each layer's loss at most 10 squares, and each difference loses
# about a digit to cancellation: some 5000 roundings of 1.1e-16 at the worst.
ROUNDING = 5e-13


def features(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Channels of different strength, so that no two are alike.
    strength = torch.rand(1, shape[1], 1, 1, generator=generator, dtype=torch.float64) * 2 + 0.1
    return torch.rand(shape, generator=generator, dtype=torch.float64) * strength


def term(layers: dict[str, float], relative: bool = False) -> MomentsLoss:
    return MomentsLoss(
        LossTermArguments(
            layers=layers, options=MomentsOptions(normalization="relative" if relative else "paper")
        )
    )


def bound(*styles: tuple[Tensor, float], relative: bool = False) -> Loss:
    shares = tuple(Style({"a": style}, weight) for style, weight in styles)
    return term({"a": 2.0}, relative).bind(References(content={}, styles=shares))


def moments(maps: Tensor) -> Tensor:
    rows = maps[0].flatten(1).numpy()
    return torch.from_numpy(np.stack([rows.mean(1), rows.std(1)]))


def test_the_papers_value_is_that_of_numpys_moments() -> None:
    result, style = features(1, 1, 5, 7, 9), features(2, 1, 5, 4, 6)
    expected = 2 * ((moments(result) - moments(style)) ** 2).sum().item() / 5
    assert bound((style, 1.0))({"a": result}).item() == pytest.approx(expected, rel=ROUNDING)


def test_relative_is_divided_by_the_styles_own_square() -> None:
    result, style = features(1, 1, 5, 7, 9), features(2, 1, 5, 4, 6)
    own, target = moments(result), moments(style)
    expected = 2 * ((own - target) ** 2).sum().item() / (target**2).sum().item()
    loss = bound((style, 1.0), relative=True)
    assert loss({"a": result}).item() == pytest.approx(expected, rel=ROUNDING)
    scaled = bound((100 * style, 1.0), relative=True)({"a": 100 * result}).item()
    assert scaled == pytest.approx(expected, rel=ROUNDING)
    # A channel that is zero has a deviation of 1e-6.
    assert loss({"a": torch.zeros_like(result)}).item() == pytest.approx(2.0, rel=1e-4)


def test_a_bright_even_channel_keeps_its_deviation_in_float32() -> None:
    generator = torch.Generator().manual_seed(1)
    maps = 100 + 0.01 * torch.randn(1, 3, 40, 50, generator=generator)
    # In float32 E[F^2] - mu^2 would be off by about 100^2 * 6e-8, six times the variance.
    sums = term({"a": 1.0}).statistics(FeatureTile({"a": maps}, {}, {}))["a"]
    mean = sums.totals / 2000
    deviation = (sums.squares / 2000 - mean.square()).sqrt()
    own = torch.cat([mean, deviation])
    # Sums of 2000 float32 numbers, 6e-8 each; the roundings are random.
    torch.testing.assert_close(own, moments(maps.double()), rtol=1e-5, atol=0)


def test_gradients_of_float32_agree_with_float64() -> None:
    result, style = features(1, 1, 5, 40, 50) + 3, features(2, 1, 5, 40, 50) + 3
    loss = bound((style, 1.0), relative=True)
    single = bound((style.float(), 1.0), relative=True)
    leaf, single_leaf = result.clone().requires_grad_(), result.float().requires_grad_()
    (expected,) = torch.autograd.grad(loss({"a": leaf}), leaf)
    value = single({"a": single_leaf})
    assert value.dtype == torch.float32
    (gradient,) = torch.autograd.grad(value, single_leaf)
    assert gradient.dtype == torch.float32
    # A mean of about six deviations: as much of float32's 6e-8 is lost, a few times over.
    assert (gradient - expected).norm().item() < 1e-5 * expected.norm().item()


def test_a_dead_channel_is_drawn_to_the_mean_evenly() -> None:
    result, style = features(1, 1, 3, 4, 5), features(2, 1, 3, 6, 7)
    result[:, 1] = 0
    leaf = result.requires_grad_()
    (gradient,) = torch.autograd.grad(bound((style, 1.0))({"a": leaf}), leaf)
    assert torch.isfinite(gradient).all()
    assert gradient[0, 1].std().item() == pytest.approx(0, abs=1e-15)


def test_a_style_tiled_four_times_is_the_same_style() -> None:
    result, style = features(1, 1, 5, 4, 6), features(2, 1, 5, 4, 6)
    once = bound((style, 1.0))({"a": result}).item()
    tiled = bound((style.repeat(1, 1, 2, 2), 1.0))({"a": result}).item()
    assert tiled == pytest.approx(once, rel=ROUNDING)
