from __future__ import annotations

import numpy as np
import pytest
import torch
from stylectl.core.interfaces.specs import LossTermArguments
from stylectl.core.interfaces.terms import Loss, References, Style
from stylectl.plugins.losses.sliced_wasserstein import (
    SlicedWassersteinLoss,
    SlicedWassersteinOptions,
    unit_vectors,
)
from stylectl.plugins.losses.statistics.sums import resampled
from torch import Tensor

# Sums of at most a few hundred squares, in two orders, of projections that lose a digit or two to
# cancellation.
ROUNDING = 1e-12


def features(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Channels of different strength, so that no two distributions are alike.
    strength = torch.rand(1, shape[1], 1, 1, generator=generator, dtype=torch.float64) * 2
    return torch.rand(shape, generator=generator, dtype=torch.float64) * strength


def term(layers: dict[str, float], directions: int | None = None) -> SlicedWassersteinLoss:
    return SlicedWassersteinLoss(
        LossTermArguments(layers=layers, options=SlicedWassersteinOptions(directions=directions))
    )


def bound(*styles: tuple[Tensor, float], seed: int = 0, directions: int | None = None) -> Loss:
    shares = tuple(Style({"a": style}, weight) for style, weight in styles)
    references = References(content={}, styles=shares, seed=seed)
    return term({"a": 1.0}, directions).bind(references)


def direct(result: Tensor, style: Tensor, directions: Tensor) -> float:
    own, its = (each[0].flatten(1).numpy() for each in (result, style))
    number = own.shape[1]
    wanted = (np.arange(number) + 0.5) / number
    known = (np.arange(its.shape[1]) + 0.5) / its.shape[1]
    distance, square = 0.0, 0.0
    for direction in directions.numpy():
        target = np.interp(wanted, known, np.sort(direction @ its))
        distance += ((np.sort(direction @ own) - target) ** 2).sum()
        square += (target**2).sum()
    return float(distance / square)


@pytest.mark.parametrize("size", [(7, 9), (4, 5), (10, 13)])
@pytest.mark.parametrize("number", [None, 1, 12])
def test_value_is_the_distance_of_sorted_projections(
    size: tuple[int, int], number: int | None
) -> None:
    result, style = features(1, 1, 5, 7, 9), features(2, 1, 5, *size)
    directions = unit_vectors(number, style, torch.Generator().manual_seed(3))
    value = bound((style, 1.0), seed=3, directions=number)({"a": result}).item()
    assert value == pytest.approx(direct(result, style, directions), rel=ROUNDING)


def test_directions_are_unit_vectors_as_many_as_channels() -> None:
    directions = unit_vectors(None, features(1, 1, 6, 2, 2), torch.Generator().manual_seed(1))
    assert directions.shape == (6, 6)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(6, dtype=torch.float64))


def test_resampling_keeps_straight_quantiles_straight() -> None:
    line = (torch.arange(8, dtype=torch.float64).view(1, 1, 8) + 0.5) / 8
    expected = (torch.arange(4, dtype=torch.float64).view(1, 1, 4) + 0.5) / 4
    torch.testing.assert_close(resampled(line, 4), expected)
    assert resampled(line, 8) is line


def test_a_style_tiled_four_times_is_the_same_style() -> None:
    result, style = features(1, 1, 5, 4, 6), features(2, 1, 5, 4, 6)
    once = bound((style, 1.0))({"a": result}).item()
    tiled = bound((style.repeat(1, 1, 2, 2), 1.0))({"a": result}).item()
    assert tiled == pytest.approx(once, rel=ROUNDING)


def test_a_seed_repeats_and_another_differs() -> None:
    style, result = features(1, 1, 3, 4, 5), features(2, 1, 3, 4, 5)
    first, again, other = (
        bound((style, 1.0), seed=seed)({"a": result}).item() for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other
