from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stylectl.core.terms import Loss, References, Style
from stylectl.plugins.losses.style import StyleLoss, StyleOptions, gram_matrix
from torch import Tensor

# Where nothing else is said: a Gram matrix sums at most 120 products, each layer's loss at most 25
# squares, and G / M - A / M' loses about a digit to cancellation: some 1500 roundings of 1.1e-16
# at the worst.
ROUNDING = 2e-13


def features(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Channels of different strength, so that no two Gram matrices are alike.
    strength = torch.rand(1, shape[1], 1, 1, generator=generator, dtype=torch.float64) * 2
    return torch.rand(shape, generator=generator, dtype=torch.float64) * strength


def term(layers: dict[str, float]) -> StyleLoss:
    return StyleLoss(layers, StyleOptions(normalization="paper"))


def bound(layers: dict[str, float], *styles: tuple[dict[str, Tensor], float]) -> Loss:
    shares = tuple(Style(style, weight) for style, weight in styles)
    return term(layers).bind(References(content={}, styles=shares))


def test_gram_matrix_sums_products_over_the_positions() -> None:
    maps = features(1, 2, 3, 4, 5)
    expected = torch.einsum("nihw,njhw->nij", maps, maps)
    # Sums of 20 positive products in two orders.
    torch.testing.assert_close(gram_matrix(maps), expected, rtol=5e-15, atol=0)


def test_gram_matrix_passes_gradcheck() -> None:
    assert torch.autograd.gradcheck(gram_matrix, (features(1, 2, 3, 4, 5).requires_grad_(),))


def test_value_is_equation_4() -> None:
    result, style = features(1, 1, 5, 7, 9), features(2, 1, 5, 7, 9)
    f, s = result[0].flatten(1), style[0].flatten(1)
    expected = ((f @ f.T - s @ s.T) ** 2).sum().item() / (4 * 5**2 * 63**2)
    value = bound({"a": 1.0}, ({"a": style}, 1.0))({"a": result}).item()
    assert value == pytest.approx(expected, rel=ROUNDING)


def test_gradient_is_equation_6() -> None:
    channels, positions = 5, 63
    result, style = features(1, 1, 5, 7, 9).requires_grad_(), features(2, 1, 5, 7, 9)
    loss = bound({"a": 1.0}, ({"a": style}, 1.0))({"a": result})
    (gradient,) = torch.autograd.grad(loss, result)
    f, s = result.detach()[0].flatten(1), style[0].flatten(1)
    gram, target = f @ f.T, s @ s.T
    expected = (f.T @ (gram - target)).T / (channels**2 * positions**2)
    error = (gradient[0].flatten(1) - expected).norm() / expected.norm()
    assert error < ROUNDING


def test_gradcheck_with_two_layers_and_two_styles_of_other_sizes() -> None:
    loss = bound(
        {"a": 0.7, "b": 0.3},
        ({"a": features(1, 1, 3, 4, 5), "b": features(2, 1, 2, 2, 3)}, 0.6),
        ({"a": features(3, 1, 3, 6, 3), "b": features(4, 1, 2, 4, 1)}, 0.4),
    )
    inputs = (features(5, 1, 3, 4, 5).requires_grad_(), features(6, 1, 2, 2, 3).requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: loss({"a": a, "b": b}), inputs)


def test_each_gram_matrix_is_divided_by_its_own_number_of_positions() -> None:
    result, style = features(1, 1, 5, 4, 6), features(2, 1, 5, 10, 12)
    f, s = result[0].flatten(1), style[0].flatten(1)
    expected = ((f @ f.T / 24 - s @ s.T / 120) ** 2).sum().item() / (4 * 5**2)
    value = bound({"a": 1.0}, ({"a": style}, 1.0))({"a": result}).item()
    assert value == pytest.approx(expected, rel=ROUNDING)


def test_a_style_tiled_four_times_is_the_same_style() -> None:
    result, style = features(1, 1, 5, 4, 6), features(2, 1, 5, 4, 6)
    once = bound({"a": 1.0}, ({"a": style}, 1.0))({"a": result}).item()
    tiled = bound({"a": 1.0}, ({"a": style.repeat(1, 1, 2, 2)}, 1.0))({"a": result}).item()
    assert tiled == pytest.approx(once, rel=ROUNDING)


def test_layer_weights_multiply_the_layers() -> None:
    style = {"a": features(1, 1, 3, 4, 5), "b": features(2, 1, 2, 6, 7)}
    result = {"a": features(3, 1, 3, 4, 5), "b": features(4, 1, 2, 6, 7)}
    alone = {name: bound({name: 1.0}, (style, 1.0))(result).item() for name in "ab"}
    both = bound({"a": 3.0, "b": 0.25}, (style, 1.0))(result).item()
    # The layers' own losses are computed alike: a few roundings of the weights remain.
    assert both == pytest.approx(3 * alone["a"] + 0.25 * alone["b"], rel=2e-15)


def test_styles_are_averaged_by_their_shares() -> None:
    first, second = {"a": features(1, 1, 3, 4, 5)}, {"a": features(2, 1, 3, 6, 7)}
    result = {"a": features(3, 1, 3, 4, 5)}
    alone = [bound({"a": 1.0}, (style, 1.0))(result).item() for style in (first, second)]
    both = bound({"a": 1.0}, (first, 0.8), (second, 0.2))(result).item()
    assert both == pytest.approx(0.8 * alone[0] + 0.2 * alone[1], rel=2e-15)


def test_one_style_twice_at_half_the_weight_is_that_style_once() -> None:
    style, result = {"a": features(1, 1, 3, 4, 5)}, {"a": features(2, 1, 3, 6, 7)}
    once = bound({"a": 1.0}, (style, 1.0))(result).item()
    assert bound({"a": 1.0}, (style, 0.5), (style, 0.5))(result).item() == once


def test_identical_features_lose_nothing() -> None:
    style = features(1, 1, 3, 4, 5)
    result = style.clone().requires_grad_()
    loss = bound({"a": 1.0}, ({"a": style}, 1.0))({"a": result})
    (gradient,) = torch.autograd.grad(loss, result)
    assert loss.item() == 0
    assert not gradient.any()


def test_a_batch_is_summed() -> None:
    style, result = features(1, 1, 3, 4, 5), features(2, 2, 3, 4, 5)
    loss = bound({"a": 1.0}, ({"a": style}, 1.0))
    each = sum(loss({"a": result[n : n + 1]}).item() for n in range(2))
    assert loss({"a": result}).item() == pytest.approx(each, rel=ROUNDING)


def test_reads_the_styles_alone() -> None:
    made = term({"a": 1.0, "b": 2.0})
    assert made.reads == {"styles"}
    assert set(made.layers) == {"a", "b"}


@given(
    channels=st.integers(1, 5),
    height=st.integers(1, 10),
    width=st.integers(1, 12),
    seed=st.integers(0, 999),
)
def test_the_order_of_the_positions_does_not_matter(
    channels: int, height: int, width: int, seed: int
) -> None:
    result, style = (
        features(seed, 1, channels, height, width),
        features(seed + 1, 1, channels, 4, 5),
    )
    order = torch.randperm(height * width, generator=torch.Generator().manual_seed(seed))
    permuted = result.flatten(2)[:, :, order].view_as(result)
    loss = bound({"a": 1.0}, ({"a": style}, 1.0))
    # Any two images may happen to have nearly equal Gram matrices, and their difference few digits:
    # the error is measured by the squares of the Gram matrices (at most 4 here) instead.
    value = loss({"a": result}).item()
    assert loss({"a": permuted}).item() == pytest.approx(value, abs=4 * ROUNDING)


@given(
    channels=st.integers(1, 5),
    height=st.integers(2, 10),
    width=st.integers(1, 12),
    style_height=st.integers(1, 10),
    where=st.floats(0, 1),
    seed=st.integers(0, 999),
)
def test_sums_of_two_tiles_add_up_to_the_wholes(
    channels: int, height: int, width: int, style_height: int, where: float, seed: int
) -> None:
    made = term({"a": 1.0})
    result = features(seed, 1, channels, height, width)
    style = features(seed + 1, 1, channels, style_height, 5)
    row = 1 + round(where * (height - 2))
    upper = made.sums({"a": result[:, :, :row]}, {})
    lower = made.sums({"a": result[:, :, row:]}, {})
    added = {name: upper[name] + lower[name] for name in upper}
    whole = made.sums({"a": result}, {})
    assert added.keys() == whole.keys()
    for name, value in whole.items():
        # Two orders of summation of at most 120 products that are not negative.
        torch.testing.assert_close(added[name], value, rtol=3e-14, atol=0)
    expected = bound({"a": 1.0}, ({"a": style}, 1.0))({"a": result}).item()
    tiled = made.loss_of_sums(added, [(made.sums({"a": style}, {}), 1.0)]).item()
    assert tiled == pytest.approx(expected, abs=4 * ROUNDING)


def relative(style: Tensor, share: float = 1.0) -> Loss:
    made = StyleLoss({"a": 2.0}, StyleOptions(normalization="relative"))
    return made.bind(References(content={}, styles=(Style({"a": style}, share),)))


def test_relative_is_the_squared_distance_over_the_targets_square() -> None:
    result, style = features(1, 1, 5, 7, 9), features(2, 1, 5, 4, 6)
    own, target = gram_matrix(result) / 63, gram_matrix(style) / 24
    expected = 2 * ((own - target) ** 2).sum().item() / (target**2).sum().item()
    assert relative(style)({"a": result}).item() == pytest.approx(expected, rel=ROUNDING)


def test_relative_passes_gradcheck_and_does_not_depend_on_units() -> None:
    result, style = features(1, 1, 3, 4, 5), features(2, 1, 3, 4, 5)
    loss = relative(style)
    assert torch.autograd.gradcheck(lambda x: loss({"a": x}), (result.clone().requires_grad_(),))
    scaled = relative(100 * style)({"a": 100 * result}).item()
    assert scaled == pytest.approx(loss({"a": result}).item(), rel=ROUNDING)


def test_nothing_is_as_far_from_a_style_as_the_layers_weight() -> None:
    style = features(2, 1, 3, 4, 5)
    assert relative(style)({"a": torch.zeros_like(style)}).item() == pytest.approx(2.0)
    black = relative(torch.zeros_like(style))({"a": style})
    assert torch.isfinite(black)
