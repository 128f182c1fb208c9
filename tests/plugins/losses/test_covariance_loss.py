from __future__ import annotations

import numpy as np
import pytest
import torch
from stylectl.core.interfaces.specs import LossTermArguments
from stylectl.core.interfaces.statistics import FeatureTile
from stylectl.core.interfaces.terms import Loss, References, Style
from stylectl.plugins.losses.covariance import CovarianceLoss, CovarianceOptions
from stylectl.plugins.losses.statistics.sums import covariance_sums, mean_and_covariance
from torch import Tensor

# Covariances sum at most 120 products, each layer's loss at most 25 squares, and each difference
# loses about a digit to cancellation: some 5000 roundings of 1.1e-16 at the worst.
ROUNDING = 5e-13


def features(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Channels of different strength, so that no two covariance matrices are alike.
    strength = torch.rand(1, shape[1], 1, 1, generator=generator, dtype=torch.float64) * 2 + 0.1
    return torch.rand(shape, generator=generator, dtype=torch.float64) * strength


def term(layers: dict[str, float], relative: bool = False) -> CovarianceLoss:
    return CovarianceLoss(
        LossTermArguments(
            layers=layers,
            options=CovarianceOptions(normalization="relative" if relative else "plain"),
        )
    )


def bound(*styles: tuple[Tensor, float], relative: bool = False) -> Loss:
    shares = tuple(Style({"a": style}, weight) for style, weight in styles)
    return term({"a": 2.0}, relative).bind(References(content={}, styles=shares))


def covariance(maps: Tensor) -> Tensor:
    return torch.from_numpy(np.cov(maps[0].flatten(1).numpy(), ddof=0)).reshape(
        maps.shape[1], maps.shape[1]
    )


def test_plain_is_the_squared_difference_of_numpys_covariances() -> None:
    result, style = features(1, 1, 5, 7, 9), features(2, 1, 5, 4, 6)
    expected = 2 * ((covariance(result) - covariance(style)) ** 2).sum().item()
    assert bound((style, 1.0))({"a": result}).item() == pytest.approx(expected, rel=ROUNDING)


def test_relative_is_divided_by_the_styles_own_square() -> None:
    result, style = features(1, 1, 5, 7, 9), features(2, 1, 5, 4, 6)
    own, target = covariance(result), covariance(style)
    expected = 2 * ((own - target) ** 2).sum().item() / (target**2).sum().item()
    loss = bound((style, 1.0), relative=True)
    assert loss({"a": result}).item() == pytest.approx(expected, rel=ROUNDING)
    scaled = bound((100 * style, 1.0), relative=True)({"a": 100 * result}).item()
    assert scaled == pytest.approx(expected, rel=ROUNDING)
    flat = torch.full_like(result, 0.3)
    assert loss({"a": flat}).item() == pytest.approx(2.0, rel=ROUNDING)


@pytest.mark.parametrize("exact", [True, False])
def test_sums_pass_gradcheck(exact: bool) -> None:
    def sums(maps: Tensor) -> tuple[Tensor, Tensor]:
        made = covariance_sums(FeatureTile({"a": maps}, {}, {}), ["a"], exact)
        return made["a"].totals, made["a"].products

    assert torch.autograd.gradcheck(sums, (features(1, 2, 3, 4, 5).requires_grad_(),))


def test_a_bright_even_channel_keeps_its_variance_in_float32() -> None:
    generator = torch.Generator().manual_seed(1)
    maps = 100 + 0.01 * torch.randn(1, 3, 40, 50, generator=generator)
    # In float32 E[F F^T] - mu mu^T would be off by about 100^2 * 6e-8, six times the variance.
    _, own = mean_and_covariance(covariance_sums(FeatureTile({"a": maps}, {}, {}), ["a"])["a"])
    expected = covariance(maps.double())
    # Products of float32 numbers, 2000 to a sum, 6e-8 each; the roundings are random.
    assert (own[0] - expected).abs().max().item() < 1e-5 * expected.abs().max().item()


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


def test_the_mean_of_a_channel_does_not_matter() -> None:
    result, style = features(1, 1, 3, 4, 5), features(2, 1, 3, 6, 7)
    loss = bound((style, 1.0))
    value = loss({"a": result}).item()
    assert loss({"a": result + 1}).item() == pytest.approx(value, rel=10 * ROUNDING)


def test_a_style_tiled_four_times_is_the_same_style() -> None:
    result, style = features(1, 1, 5, 4, 6), features(2, 1, 5, 4, 6)
    once = bound((style, 1.0))({"a": result}).item()
    tiled = bound((style.repeat(1, 1, 2, 2), 1.0))({"a": result}).item()
    assert tiled == pytest.approx(once, rel=ROUNDING)
