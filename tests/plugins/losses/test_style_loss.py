from __future__ import annotations

import pytest
import torch
from stylectl.core.interfaces.specs import LossTermArguments
from stylectl.core.interfaces.terms import Loss, References, Style
from stylectl.plugins.losses.statistics.gram import gram_matrix
from stylectl.plugins.losses.style import StyleLoss, StyleOptions
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
    return StyleLoss(LossTermArguments(layers=layers, options=StyleOptions(normalization="paper")))


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


def relative(style: Tensor, share: float = 1.0) -> Loss:
    made = StyleLoss(
        LossTermArguments(layers={"a": 2.0}, options=StyleOptions(normalization="relative"))
    )
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
