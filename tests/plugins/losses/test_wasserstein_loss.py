from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stylectl.core.interfaces.specs import LossTermArguments, NoOptions
from stylectl.core.interfaces.statistics import FeatureTile, tensors_of
from stylectl.core.interfaces.terms import Loss, References, Style
from stylectl.plugins.losses.statistics import pivoted_sums
from stylectl.plugins.losses.wasserstein import WassersteinLoss
from torch import Tensor

# Covariances sum at most 120 products, each layer's loss at most 25 squares, and each difference
# loses about a digit to cancellation: some 5000 roundings of 1.1e-16 at the worst.
ROUNDING = 5e-13

# Of a matrix' root: an eigenvalue that is zero comes out as some 1e-16 of the largest, its root as
# 1e-8 of the largest root, and there are at most five of them.
ROOT = 1e-7


def features(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Channels of different strength, so that no two are alike.
    strength = torch.rand(1, shape[1], 1, 1, generator=generator, dtype=torch.float64) * 2 + 0.1
    return torch.rand(shape, generator=generator, dtype=torch.float64) * strength


def term(layers: dict[str, float]) -> WassersteinLoss:
    return WassersteinLoss(LossTermArguments(layers=layers, options=NoOptions()))


def bound(*styles: tuple[Tensor, float]) -> Loss:
    shares = tuple(Style({"a": style}, weight) for style, weight in styles)
    return term({"a": 2.0}).bind(References(content={}, styles=shares))


def moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    rows = maps[0].flatten(1)
    return rows.mean(1), torch.cov(rows, correction=0).reshape(len(rows), len(rows))


def distance(result: Tensor, style: Tensor) -> float:
    """By the eigenvalues of C C', which are those of C'^1/2 C C'^1/2; relative to the style."""
    (mean, own), (target_mean, target) = moments(result), moments(style)
    roots = torch.linalg.eigvals(own @ target).real.clamp_min(0).sqrt().sum()
    shift = (mean - target_mean).square().sum()
    unit = target_mean.square().sum() + target.trace()
    return float((shift + own.trace() + target.trace() - 2 * roots) / unit)


def on_axes(generator: torch.Generator, deviations: Tensor) -> Tensor:
    """Features (1, C, 4, 8) with exactly these deviations, and no covariance between channels."""
    signs = torch.tensor(
        [[(-1.0) ** bin(row & place).count("1") for place in range(32)] for row in (1, 2, 4, 8)],
        dtype=torch.float64,
    )
    mean = torch.rand(4, 1, generator=generator, dtype=torch.float64)
    return (mean + deviations.unsqueeze(1) * signs).view(1, 4, 4, 8)


def test_value_is_the_distance_by_the_eigenvalues_of_the_product() -> None:
    result, style = features(1, 1, 5, 7, 9), features(2, 1, 5, 4, 6)
    value = bound((style, 1.0))({"a": result}).item()
    assert value == pytest.approx(2 * distance(result, style), rel=1e-10)


@given(
    own=st.lists(st.floats(0, 3), min_size=4, max_size=4),
    target=st.lists(st.floats(0.1, 3), min_size=4, max_size=4),
)
def test_matrices_that_commute_have_a_closed_form(own: list[float], target: list[float]) -> None:
    generator = torch.Generator().manual_seed(1)
    deviations = [torch.tensor(each, dtype=torch.float64) for each in (own, target)]
    result, style = (on_axes(generator, each) for each in deviations)
    mean, target_mean = result[0].flatten(1).mean(1), style[0].flatten(1).mean(1)
    squared = (mean - target_mean).square().sum() + (deviations[0] - deviations[1]).square().sum()
    expected = (2 * squared / (target_mean.square().sum() + deviations[1].square().sum())).item()
    value = bound((style, 1.0))({"a": result}).item()
    # Roots below 3e-8 of the largest (3 * 3 here) are taken for zero, in four channels, twice.
    assert value == pytest.approx(expected, abs=1e-4)


def test_it_does_not_depend_on_units_and_black_is_as_far_as_the_layers_weight() -> None:
    result, style = features(1, 1, 5, 7, 9), features(2, 1, 5, 4, 6)
    loss = bound((style, 1.0))
    scaled = bound((100 * style, 1.0))({"a": 100 * result}).item()
    assert scaled == pytest.approx(loss({"a": result}).item(), rel=1e-10)
    assert loss({"a": torch.zeros_like(result)}).item() == pytest.approx(2.0, rel=ROUNDING)


def test_a_shift_alone_costs_its_square() -> None:
    style = features(1, 1, 5, 4, 6)
    mean, covariance = moments(style)
    expected = 2 * 5 * 0.3**2 / (mean.square().sum() + covariance.trace()).item()
    assert bound((style, 1.0))({"a": style + 0.3}).item() == pytest.approx(expected, abs=ROOT)


def test_gradient_is_that_of_the_optimal_map() -> None:
    """For commuting matrices: 2 / M (x - mu' - (x - mu) sigma' / sigma) over the style's unit."""
    generator = torch.Generator().manual_seed(2)
    own, target = torch.rand(2, 4, generator=generator, dtype=torch.float64) + 0.5
    result, style = on_axes(generator, own), on_axes(generator, target)
    (mean, _), (target_mean, covariance) = moments(result), moments(style)
    leaf = result.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(bound((style, 1.0))({"a": leaf}), leaf)
    rows = result[0].flatten(1)
    mapped = target_mean[:, None] + (target / own)[:, None] * (rows - mean[:, None])
    unit = target_mean.square().sum() + covariance.trace()
    expected = 2 * 2 / 32 * (rows - mapped) / unit
    torch.testing.assert_close(gradient[0].flatten(1), expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fewer_positions_than_channels_give_a_bounded_gradient(dtype: torch.dtype) -> None:
    result, style = features(1, 1, 40, 3, 4).to(dtype), features(2, 1, 40, 4, 5).to(dtype)
    leaf = result.clone().requires_grad_()
    loss = bound((style, 1.0))({"a": leaf})
    (gradient,) = torch.autograd.grad(loss, leaf)
    expected = 2 * distance(result.double(), style.double())
    assert loss.item() == pytest.approx(expected, abs=1e-4)
    # |x - T(x)| over the root of the positions is the distance, if T is the optimal map.
    mean, covariance = moments(style)
    unit = (mean.square().sum() + covariance.trace()).item()
    bound_by_the_distance = 2 * (2 * loss.item() / (12 * unit)) ** 0.5
    assert 0 < gradient.norm().item() <= bound_by_the_distance


def test_a_step_down_the_gradient_lowers_it_without_full_rank() -> None:
    result, style = features(1, 1, 40, 3, 4), features(2, 1, 40, 4, 5)
    loss, leaf = bound((style, 1.0)), result.clone().requires_grad_()
    value = loss({"a": leaf})
    (gradient,) = torch.autograd.grad(value, leaf)
    step = 0.1 * value.item() / gradient.square().sum().item()
    assert loss({"a": result - step * gradient}).item() < 0.95 * value.item()


def test_float32_features_agree_with_float64() -> None:
    result, style = features(1, 1, 5, 40, 50) + 3, features(2, 1, 5, 40, 50) + 3
    leaf, single_leaf = result.clone().requires_grad_(), result.float().requires_grad_()
    (expected,) = torch.autograd.grad(bound((style, 1.0))({"a": leaf}), leaf)
    value = bound((style.float(), 1.0))({"a": single_leaf})
    assert value.dtype == torch.float32
    (gradient,) = torch.autograd.grad(value, single_leaf)
    # A mean of about six deviations: as much of float32's 6e-8 is lost, a few times over.
    assert (gradient - expected).norm().item() < 1e-5 * expected.norm().item()


def test_a_style_tiled_four_times_is_the_same_style() -> None:
    result, style = features(1, 1, 5, 4, 6), features(2, 1, 5, 4, 6)
    once = bound((style, 1.0))({"a": result}).item()
    tiled = bound((style.repeat(1, 1, 2, 2), 1.0))({"a": result}).item()
    assert tiled == pytest.approx(once, abs=ROOT)


def test_chunks_of_positions_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    made = term({"a": 1.0})
    result = features(1, 2, 5, 4, 6)
    tile = FeatureTile({"a": result}, {}, {})
    whole = tensors_of(made.statistics(tile))
    monkeypatch.setattr(pivoted_sums, "CHUNK", 7)
    for key, value in tensors_of(made.statistics(tile)).items():
        # Sums of 24 numbers that are not negative, up to 4.4 each.
        torch.testing.assert_close(value, whole[key], rtol=1e-14, atol=1e-13)
