from __future__ import annotations

from typing import Literal

import pytest
import torch
from stylectl.core.interfaces.specs import LossTermArguments
from stylectl.core.interfaces.terms import Loss, References
from stylectl.plugins.losses.content import ContentLoss, ContentOptions
from torch import Tensor

Normalization = Literal["relative", "mean", "paper"]


def features(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64) + 0.1


def term(layers: dict[str, float], normalization: Normalization = "paper") -> ContentLoss:
    return ContentLoss(
        LossTermArguments(layers=layers, options=ContentOptions(normalization=normalization))
    )


def bound(
    normalization: Normalization, layers: dict[str, float], content: dict[str, Tensor]
) -> Loss:
    return term(layers, normalization).bind(References(content=content, styles=()))


def test_gradient_is_the_difference_of_the_features() -> None:
    # Equation 2 of Gatys et al. 2015 for F > 0; where F is 0 the network's rectifier, and not the
    # loss, takes the gradient out.
    result, content = features(1, 1, 5, 7, 9).requires_grad_(), features(2, 1, 5, 7, 9)
    loss = bound("paper", {"a": 1.0}, {"a": content})({"a": result})
    (gradient,) = torch.autograd.grad(loss, result)
    # 2 * 1/2 * (F - P): products with powers of two are exact, but leave 2 roundings' room.
    torch.testing.assert_close(gradient, result.detach() - content, rtol=4.5e-16, atol=0)


def test_value_is_half_the_sum_of_squares() -> None:
    result, content = features(1, 1, 2, 3, 4), features(2, 1, 2, 3, 4)
    pairs = zip(result.flatten().tolist(), content.flatten().tolist(), strict=True)
    expected = 0.5 * sum((f - p) ** 2 for f, p in pairs)
    value = bound("paper", {"a": 1.0}, {"a": content})({"a": result}).item()
    # A sum of 24 positive numbers: at most 24 roundings of 1.1e-16.
    assert value == pytest.approx(expected, rel=3e-15)


def test_mean_is_the_sum_divided_by_each_layers_elements() -> None:
    content = {"a": features(1, 1, 3, 4, 5), "b": features(2, 1, 2, 6, 7)}
    result = {"a": features(3, 1, 3, 4, 5), "b": features(4, 1, 2, 6, 7)}
    expected = sum(
        bound("paper", {name: 0.5}, content)(result).item() / content[name].numel() for name in "ab"
    )
    # A handful of roundings of 1.1e-16.
    assert bound("mean", {"a": 0.5, "b": 0.5}, content)(result).item() == pytest.approx(
        expected, rel=2e-15
    )


def test_relative_is_the_sum_over_the_contents_own_squares() -> None:
    result, content = features(1, 1, 2, 3, 4), features(2, 1, 2, 3, 4)
    value = bound("relative", {"a": 3.0}, {"a": content})({"a": result}).item()
    expected = 1.5 * ((result - content) ** 2).sum().item() / (content**2).sum().item()
    assert value == pytest.approx(expected, rel=1e-13)  # sums of 24 terms in float64
