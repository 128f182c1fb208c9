"""The formulas of the scores against closed forms, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stylectl.tools.judge.copied_area import copied_positions
from stylectl.tools.judge.effectiveness import divergence
from stylectl.tools.judge.self_similarity import rows_divergence


def test_the_divergence_of_independent_gaussians_is_the_sum_of_those_of_each() -> None:
    means, means_2 = torch.tensor([0.5, -1.0, 2.0]).double(), torch.tensor([0.0, 1.0, 2.5]).double()
    variances, variances_2 = torch.tensor([1.0, 0.3, 2.0]), torch.tensor([2.0, 0.4, 0.5])
    expected = sum(
        math.log(math.sqrt(v_2 / v)) + (v + (m - m_2) ** 2) / (2 * v_2) - 0.5
        for m, m_2, v, v_2 in zip(
            means.tolist(), means_2.tolist(), variances.tolist(), variances_2.tolist(), strict=True
        )
    )
    value = divergence(
        means, torch.diag(variances).double(), means_2, torch.diag(variances_2).double()
    )
    assert value == pytest.approx(expected, rel=1e-6)  # the variances are read from float32


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_the_divergence_does_not_depend_on_the_basis(seed: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    roots, means = random(2, count, count), random(2, count)
    covariances = roots @ roots.mT + 0.1 * torch.eye(count, dtype=torch.float64)
    basis = torch.linalg.qr(random(count, count)).Q
    value = divergence(means[0], covariances[0], means[1], covariances[1])
    turned = basis @ covariances @ basis.T
    assert value >= 0
    assert divergence(basis @ means[0], turned[0], basis @ means[1], turned[1]) == pytest.approx(
        value, rel=1e-6, abs=1e-9
    )


def test_the_divergence_of_equal_gaussians_is_zero() -> None:
    mean, covariance = torch.ones(4).double(), torch.eye(4).double() + 0.5
    assert divergence(mean, covariance, mean, covariance) == pytest.approx(0, abs=1e-12)


def test_the_distance_of_self_similarities_is_the_mean_divergence_of_rows() -> None:
    """One channel and two positions: each row of S is a logistic function of a product."""
    features, target = torch.tensor([2.0, -1.0]).double(), torch.tensor([0.5, 1.5]).double()

    def rows(values: torch.Tensor) -> list[list[float]]:
        products = [[a * b for b in values.tolist()] for a in values.tolist()]
        return [[math.exp(p) / sum(map(math.exp, row)) for p in row] for row in products]

    expected = sum(
        q * math.log(q / p)
        for target_row, row in zip(rows(target), rows(features), strict=True)
        for q, p in zip(target_row, row, strict=True)
    )
    value = rows_divergence(features.view(1, 1, 2), target.view(1, 1, 2))
    assert value == pytest.approx(expected / 2, rel=1e-12)


def test_rows_of_a_large_map_are_compared_with_all_positions() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(4, 66, 70, generator=generator, dtype=torch.float64)  # more than 4096 rows
    assert rows_divergence(maps, maps) == 0
    flipped = rows_divergence(maps.flip(2), maps)
    assert rows_divergence(-maps, maps) == pytest.approx(0, abs=1e-12)  # products keep their sign
    assert flipped > 0.01


def _shifted(height: int, width: int, rows: int, columns: int) -> torch.Tensor:
    positions = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack((positions[0] + rows, positions[1] + columns))


def test_a_copied_block_is_found_and_nothing_beside_it() -> None:
    generator = torch.Generator().manual_seed(0)
    nearest = torch.randint(0, 60, (2, 30, 40), generator=generator)
    block = (slice(5, 13), slice(20, 27))
    nearest[:, *block] = _shifted(30, 40, 9, -4)[:, *block]
    copied = copied_positions(nearest, torch.full((30, 40), 0.7))
    assert copied[block].all()
    # Beside it, a position agrees by chance with 9 of 3600.
    assert copied.sum() <= 8 * 7 + 4


def test_a_block_that_is_unlike_the_painting_is_no_copy() -> None:
    nearest = _shifted(20, 20, 3, 1)
    assert copied_positions(nearest, torch.full((20, 20), 0.6)).all()
    assert not copied_positions(nearest, torch.full((20, 20), 0.4)).any()


def test_one_place_that_is_nearest_everywhere_is_no_copy() -> None:
    nearest = torch.full((2, 20, 20), 10)
    assert not copied_positions(nearest, torch.ones(20, 20)).any()


def test_small_blocks_are_strokes_and_no_copies() -> None:
    """Blocks of 4x4 positions, each with an offset of its own."""
    generator = torch.Generator().manual_seed(1)
    offsets = 5 * torch.randint(0, 20, (2, 6, 6), generator=generator)
    nearest = _shifted(24, 24, 0, 0) + offsets.repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert copied_positions(nearest, torch.ones(24, 24)).float().mean() < 0.2
