from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import stylectl
import torch
from hypothesis import given
from hypothesis import strategies as st
from stylectl.core.terms import Loss, References, Style
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
    return MomentsLoss(layers, MomentsOptions(normalization="relative" if relative else "paper"))


def bound(*styles: tuple[Tensor, float], relative: bool = False) -> Loss:
    shares = tuple(Style({"a": style}, weight) for style, weight in styles)
    return term({"a": 2.0}, relative).bind(References(content={}, styles=shares))


def covariance(maps: Tensor) -> Tensor:
    return torch.from_numpy(np.cov(maps[0].flatten(1).numpy(), ddof=0)).reshape(
        maps.shape[1], maps.shape[1]
    )


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


@pytest.mark.parametrize("relative", [True, False])
def test_gradcheck_with_two_layers_and_two_styles_of_other_sizes(relative: bool) -> None:
    styles = (
        Style({"a": features(1, 1, 3, 4, 5), "b": features(2, 1, 2, 2, 3)}, 0.6),
        Style({"a": features(3, 1, 3, 6, 3), "b": features(4, 1, 2, 4, 1)}, 0.4),
    )
    loss = term({"a": 0.7, "b": 0.3}, relative).bind(References(content={}, styles=styles))
    inputs = (features(5, 1, 3, 4, 5).requires_grad_(), features(6, 1, 2, 2, 3).requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: loss({"a": a, "b": b}), inputs)


def test_a_bright_even_channel_keeps_its_deviation_in_float32() -> None:
    generator = torch.Generator().manual_seed(1)
    maps = 100 + 0.01 * torch.randn(1, 3, 40, 50, generator=generator)
    # In float32 E[F^2] - mu^2 would be off by about 100^2 * 6e-8, six times the variance.
    made = term({"a": 1.0}).sums({"a": maps}, {})
    mean = made["a totals"] / 2000
    deviation = (made["a squares"] / 2000 - mean.square()).sqrt()
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


def test_styles_are_averaged_by_their_shares() -> None:
    first, second, result = (features(seed, 1, 3, 4, 5 + seed) for seed in (1, 2, 3))
    alone = [bound((style, 1.0))({"a": result}).item() for style in (first, second)]
    both = bound((first, 0.8), (second, 0.2))({"a": result}).item()
    assert both == pytest.approx(0.8 * alone[0] + 0.2 * alone[1], rel=2e-15)


def test_one_style_twice_at_half_the_weight_is_that_style_once() -> None:
    style, result = features(1, 1, 3, 4, 5), features(2, 1, 3, 6, 7)
    once = bound((style, 1.0))({"a": result}).item()
    assert bound((style, 0.5), (style, 0.5))({"a": result}).item() == once


def test_identical_features_lose_nothing() -> None:
    style = features(1, 1, 3, 4, 5)
    result = style.clone().requires_grad_()
    loss = bound((style, 1.0))({"a": result})
    (gradient,) = torch.autograd.grad(loss, result)
    assert loss.item() == 0
    assert not gradient.any()


def test_a_batch_is_summed() -> None:
    style, result = features(1, 1, 3, 4, 5), features(2, 2, 3, 4, 5)
    loss = bound((style, 1.0))
    each = sum(loss({"a": result[n : n + 1]}).item() for n in range(2))
    assert loss({"a": result}).item() == pytest.approx(each, rel=ROUNDING)


@pytest.mark.parametrize("relative", [True, False])
def test_black_images_are_finite(relative: bool) -> None:
    black, other = torch.zeros(1, 3, 4, 5), features(1, 1, 3, 4, 5).float()
    for result, style in ((black, other), (other, black), (black, black)):
        leaf = result.clone().requires_grad_()
        loss = bound((style, 1.0), relative=relative)({"a": leaf})
        (gradient,) = torch.autograd.grad(loss, leaf)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


def test_reads_the_styles_alone() -> None:
    made = term({"a": 1.0, "b": 2.0})
    assert made.reads == {"styles"}
    assert set(made.layers) == {"a", "b"}


@given(channels=st.integers(1, 5), height=st.integers(1, 10), seed=st.integers(0, 999))
def test_the_order_of_the_positions_does_not_matter(channels: int, height: int, seed: int) -> None:
    result, style = features(seed, 1, channels, height, 7), features(seed + 1, 1, channels, 4, 5)
    order = torch.randperm(height * 7, generator=torch.Generator().manual_seed(seed))
    permuted = result.flatten(2)[:, :, order].view_as(result)
    loss = bound((style, 1.0))
    # Two images' moments may happen to be nearly equal, and their difference few digits: the
    # error is measured by their squares (at most 4 for each of 5 channels) instead.
    value = loss({"a": result}).item()
    assert loss({"a": permuted}).item() == pytest.approx(value, abs=20 * ROUNDING)


@given(
    channels=st.integers(1, 5),
    height=st.integers(2, 10),
    where=st.floats(0, 1),
    seed=st.integers(0, 999),
)
def test_sums_of_two_tiles_add_up_to_the_wholes(
    channels: int, height: int, where: float, seed: int
) -> None:
    made = term({"a": 1.0})
    result, style = features(seed, 1, channels, height, 8), features(seed + 1, 1, channels, 3, 5)
    row = 1 + round(where * (height - 2))
    upper = made.sums({"a": result[:, :, :row]}, {})
    lower = made.sums({"a": result[:, :, row:]}, {})
    added = {name: upper[name] + lower[name] for name in upper}
    whole = made.sums({"a": result}, {})
    assert added.keys() == whole.keys()
    for name, value in whole.items():
        # Sums of at most 80 numbers that are not negative, up to 4.4 each, about other pivots.
        torch.testing.assert_close(added[name], value, rtol=3e-14, atol=1e-12)
    expected = term({"a": 1.0}).bind(References({}, (Style({"a": style}, 1.0),)))({"a": result})
    tiled = made.loss_of_sums(added, [(made.sums({"a": style}, {}), 1.0)]).item()
    assert tiled == pytest.approx(expected.item(), abs=20 * ROUNDING)


def test_a_run_lowers_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLECTL_PLUGINS", "")
    job = tmp_path / "job.toml"
    job.write_text(
        "size = 64\nscales = 1\niterations = 8\n"
        'terms = ["content", {name = "moments", weight = 30.0}]\n'
    )
    result = stylectl.run(job, device="cpu")
    assert result.final_losses["moments"] < result.initial_losses["moments"] / 2
