from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from stylectl.core.interfaces.specs import LossTermArguments
from stylectl.core.interfaces.terms import Loss, References, Style
from stylectl.plugins.losses.strotss import StrotssLoss, StrotssOptions
from torch import Tensor

# Sums of some hundred terms, in two orders.
ROUNDING = 1e-12


def features(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Channels of different strength, so that no two distributions are alike.
    strength = torch.rand(1, shape[1], 1, 1, generator=generator, dtype=torch.float64) * 2
    return torch.rand(shape, generator=generator, dtype=torch.float64) * strength


def bound(photo: Tensor, *styles: tuple[Tensor, float], seed: int = 0, **options: float) -> Loss:
    shares = tuple(Style({"a": style}, weight) for style, weight in styles)
    made = StrotssLoss(
        LossTermArguments(layers={"a": 1.0}, options=StrotssOptions.model_validate(options))
    )
    return made.bind(References(content={"a": photo}, styles=shares, seed=seed))


def distances(first: Any, second: Any) -> Any:
    made = np.empty((len(first), len(second)))
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            made[i, j] = 1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    return made


def direct(result: Tensor, content: Tensor, style: Tensor, alpha: float) -> float:
    """The formulas, at every position."""
    x, c, y = (each[0].flatten(1).T.numpy() for each in (result, content, style))
    cost = distances(x, y)
    transport = max(cost.min(1).mean(), cost.min(0).mean())
    spread, target = (np.cov(each.T, bias=True) for each in (x, y))
    moments = abs(x.mean(0) - y.mean(0)).sum() / abs(y.mean(0)).sum()
    moments += abs(spread - target).sum() / abs(target).sum()
    own, kept = (each / each.sum(0) for each in (distances(x, x), distances(c, c)))
    similar = abs(own - kept).sum() / len(x)
    return float((alpha * similar + moments + transport) / (2 + alpha))


@pytest.mark.parametrize("size", [(4, 5), (3, 3), (6, 7)])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 16.0])
def test_value_is_the_papers_sum(size: tuple[int, int], alpha: float) -> None:
    result, photo = features(1, 1, 3, 4, 5), features(2, 1, 3, 4, 5)
    style = features(3, 1, 3, *size)
    value = bound(photo, (style, 1.0), content=alpha)({"a": result}).item()
    assert value == pytest.approx(direct(result, photo, style, alpha), rel=ROUNDING)


def test_the_order_of_the_positions_does_not_matter_to_all_of_them() -> None:
    result, content, style = (features(seed, 1, 3, 4, 5) for seed in (1, 2, 3))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    mixed = [each.flatten(2)[:, :, order].view_as(each) for each in (result, content)]
    value = bound(content, (style, 1.0))({"a": result}).item()
    permuted = bound(mixed[1], (style, 1.0))({"a": mixed[0]}).item()
    assert permuted == pytest.approx(value, rel=ROUNDING)


def test_a_seed_repeats_and_another_differs() -> None:
    content, result, style = (features(seed, 1, 3, 4, 5) for seed in (1, 2, 3))
    first, again, other = (
        bound(content, (style, 1.0), seed=seed, samples=6)({"a": result}).item()
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other
