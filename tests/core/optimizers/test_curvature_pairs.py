from __future__ import annotations

import pytest
import torch
from stylectl.core.interfaces.optimizer import Evaluation, Minimization
from stylectl.core.optimizers.curvature_pairs import CurvaturePairs
from stylectl.core.optimizers.lbfgs import LBFGS
from torch import Tensor

SHAPE = (1, 3, 5, 7)


def random(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, generator=generator, dtype=torch.float64)


def drawn(number: int) -> list[tuple[Tensor, Tensor]]:
    """Pairs as a quadratic has them whose curvature is between 1 and 3."""
    curvature = 1 + 2 * torch.rand(SHAPE, generator=torch.Generator().manual_seed(99)).double()
    return [(step, curvature * step) for step in (random(seed) for seed in range(number))]


def half(vector: Tensor) -> Tensor:
    return 0.5 * vector


def two_loops(gradient: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Nocedal and Wright, algorithm 7.4."""
    coefficients = []
    for moved, change in reversed(pairs):
        coefficient = (moved * gradient).sum() / (moved * change).sum()
        coefficients.append(coefficient)
        gradient = gradient - coefficient * change
    result = half(gradient)
    for moved, change in pairs:
        along = (change * result).sum() / (moved * change).sum()
        result = result + (coefficients.pop() - along) * moved
    return result


@pytest.mark.parametrize("number", [0, 1, 3, 4, 5, 11])
def test_it_is_the_two_loop_recursion_on_the_last_pairs(number: int) -> None:
    most, pairs = 4, CurvaturePairs(4, random(0))
    for moved, change in drawn(number):
        pairs.add(moved, change)
    assert len(pairs) == min(number, most)
    gradient = random(50)
    expected = two_loops(gradient, drawn(number)[-most:])
    # float64, some hundred operations on numbers of size 1
    torch.testing.assert_close(
        pairs.inverse_hessian_times(gradient, half), expected, rtol=1e-11, atol=1e-12
    )


def test_it_is_symmetric_and_meets_the_last_secant_equation() -> None:
    pairs = CurvaturePairs(6, random(0))
    for moved, change in drawn(9):
        pairs.add(moved, change)
    last_step, last_change = drawn(9)[-1]
    torch.testing.assert_close(pairs.inverse_hessian_times(last_change, half), last_step)
    a, b = random(60), random(61)
    of_a, of_b = (pairs.inverse_hessian_times(each, half) for each in (a, b))
    assert (a * of_b).sum().item() == pytest.approx((b * of_a).sum().item(), rel=1e-10)
    assert (a * of_a).sum().item() > 0


def test_after_forgetting_it_begins_again() -> None:
    pairs = CurvaturePairs(3, random(0))
    for moved, change in drawn(5):
        pairs.add(moved, change)
    pairs.clear()
    gradient = random(50)
    assert torch.equal(pairs.inverse_hessian_times(gradient, half), half(gradient))
    for moved, change in drawn(2):
        pairs.add(moved, change)
    expected = two_loops(gradient, drawn(2))
    torch.testing.assert_close(pairs.inverse_hessian_times(gradient, half), expected)


def test_what_it_was_given_may_change() -> None:
    pairs = CurvaturePairs(3, random(0))
    moved, change = drawn(1)[0]
    pairs.add(moved, change)
    gradient = random(50)
    before = pairs.inverse_hessian_times(gradient, half)
    moved.zero_()
    change.zero_()
    assert torch.equal(pairs.inverse_hessian_times(gradient, half), before)


def test_no_more_pairs_are_allocated_than_steps_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """On CUDA memory is taken when it is allocated, and the estimate counts the steps."""
    sizes: list[int] = []

    class Counting(CurvaturePairs):
        def __init__(self, most: int, like: Tensor) -> None:
            sizes.append(most)
            super().__init__(most, like)

    monkeypatch.setattr("stylectl.core.optimizers.inverse_hessian.CurvaturePairs", Counting)
    image = torch.full((1, 3, 4, 4), 0.5)

    def evaluate(at: Tensor) -> Evaluation:
        return Evaluation(0.5 * at.square().sum().item(), {}, at)

    for history, steps, expected in ((10, 3, 3), (2, 50, 2)):
        next(LBFGS(history=history).iterate(Minimization(image, evaluate, steps)))
        assert sizes.pop() == expected
        assert LBFGS(history=history, scaling="scalar").images_held(steps) == 2 * expected + 5
