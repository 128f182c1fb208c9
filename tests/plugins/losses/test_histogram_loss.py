from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from stylectl.core.interfaces.specs import LossTermArguments, NoOptions
from stylectl.core.interfaces.terms import Loss, References, Style
from stylectl.plugins.losses.histogram import HistogramLoss
from torch import Tensor

# Sums of at most a few hundred squares, in two orders, of differences that lose a digit or two to
# cancellation.
ROUNDING = 1e-12


def features(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Channels of different strength, so that no two distributions are alike.
    strength = torch.rand(1, shape[1], 1, 1, generator=generator, dtype=torch.float64) * 2
    return torch.rand(shape, generator=generator, dtype=torch.float64) * strength


def term(layers: dict[str, float]) -> HistogramLoss:
    return HistogramLoss(LossTermArguments(layers=layers, options=NoOptions()))


def bound(*styles: tuple[Tensor, float]) -> Loss:
    shares = tuple(Style({"a": style}, weight) for style, weight in styles)
    return term({"a": 1.0}).bind(References(content={}, styles=shares))


def remapped(channel: Any, style: Any) -> Any:
    """One position after the other: its rank's quantile among the style's activations."""
    known = (np.arange(style.size) + 0.5) / style.size
    made = np.empty_like(channel)
    for position, value in enumerate(channel):
        rank = int((channel < value).sum())
        made[position] = np.interp((rank + 0.5) / channel.size, known, np.sort(style))
    return made


@pytest.mark.parametrize("size", [(7, 9), (4, 5), (10, 13)])
def test_value_and_gradient_are_the_distance_from_the_remapped_activations(
    size: tuple[int, int],
) -> None:
    result, style = features(1, 1, 5, 7, 9).requires_grad_(), features(2, 1, 5, *size)
    own, its = result.detach()[0].flatten(1).numpy(), style[0].flatten(1).numpy()
    target = np.stack([remapped(*pair) for pair in zip(own, its, strict=True)])
    loss = bound((style, 1.0))({"a": result})
    (gradient,) = torch.autograd.grad(loss, result)
    square = (target**2).sum()
    assert loss.item() == pytest.approx(((own - target) ** 2).sum() / square, rel=ROUNDING)
    expected = torch.from_numpy(2 * (own - target) / square)
    torch.testing.assert_close(gradient[0].flatten(1), expected, rtol=1e-9, atol=1e-14)


def test_equal_activations_take_the_quantiles_in_order() -> None:
    style = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64).view(1, 1, 2, 2)
    result = torch.tensor([5.0, 0.0, 0.0, 0.0], dtype=torch.float64).view(1, 1, 2, 2)
    value = bound((style, 1.0))({"a": result}).item()
    assert value == pytest.approx((1 + 4 + 9 + 1) / 30)


def test_a_style_tiled_four_times_is_the_same_style() -> None:
    result, style = features(1, 1, 5, 4, 6), features(2, 1, 5, 4, 6)
    once = bound((style, 1.0))({"a": result}).item()
    tiled = bound((style.repeat(1, 1, 2, 2), 1.0))({"a": result}).item()
    assert tiled == pytest.approx(once, rel=ROUNDING)
