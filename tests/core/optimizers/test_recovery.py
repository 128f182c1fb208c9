from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from stylectl.core.errors import NumericalError
from stylectl.core.interfaces.optimizer import Evaluation, Iterate, Minimization, Optimizer
from stylectl.core.optimizers.adam import Adam
from stylectl.core.optimizers.lbfgs import LBFGS
from stylectl.core.optimizers.recovery import steps_with_recovery
from torch import Tensor

EVERY_OPTIMIZER = [
    pytest.param(LBFGS(line_search="none"), id="lbfgs-none"),
    pytest.param(LBFGS(), id="lbfgs-armijo"),
    pytest.param(LBFGS(line_search="strong-wolfe"), id="lbfgs-strong-wolfe"),
    pytest.param(Adam(averaging=0), id="adam"),
    pytest.param(Adam(), id="adam-averaged"),
]


def start() -> Tensor:
    return torch.full((1, 3, 2, 2), 0.5, dtype=torch.float64)


def bowl(image: Tensor) -> Evaluation:
    value = 0.5 * (image - 1).square().sum().item()
    return Evaluation(value, {"content": 0.25 * value, "style": 0.75 * value}, image - 1)


def not_finite(image: Tensor) -> Evaluation:
    nowhere = torch.full_like(image, math.nan)
    return Evaluation(math.inf, {"content": 1.0, "style": math.inf}, nowhere, "style = inf")


class FailsAt:
    """The bowl, with some calls (counted from 0) that come back not finite."""

    def __init__(self, fails: Callable[[int], bool]) -> None:
        self.fails = fails
        self.calls = 0
        self.points: list[Tensor] = []

    def __call__(self, image: Tensor) -> Evaluation:
        self.points.append(image)
        self.calls += 1
        return not_finite(image) if self.fails(self.calls - 1) else bowl(image)


def run(
    optimizer: Optimizer, evaluate: Callable[[Tensor], Evaluation], steps: int
) -> tuple[list[Iterate], list[str]]:
    told: list[str] = []
    problem = Minimization(start(), evaluate, steps)
    iterates = list(steps_with_recovery(optimizer, problem, told.append))
    return iterates, told


@pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER)
@pytest.mark.parametrize("steps", [0, 1, 7])
def test_yields_the_start_and_one_iterate_for_each_step(optimizer: Optimizer, steps: int) -> None:
    iterates, told = run(optimizer, bowl, steps)
    assert len(iterates) == steps + 1
    assert torch.equal(iterates[0].image, start())
    assert told == []


@pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER)
@pytest.mark.parametrize("failing", [{1}, {3}, {2, 5}])
def test_goes_on_after_values_that_are_not_finite(optimizer: Optimizer, failing: set[int]) -> None:
    evaluate = FailsAt(lambda call: call in failing)
    iterates, told = run(optimizer, evaluate, 12)
    assert len(iterates) == 13
    assert all(each.evaluation.finite for each in iterates)
    assert len(told) == len(failing)
    # It goes on towards the minimum, and not from the start again and again.
    assert iterates[-1].evaluation.value < iterates[0].evaluation.value


def test_goes_on_from_the_last_good_image_with_shorter_steps() -> None:
    step_size = 0.02
    evaluate = FailsAt(lambda call: call == 3)
    iterates, _ = run(Adam(averaging=0, step_size=step_size), evaluate, 4)
    # Calls: 0 start, 1, 2 good, 3 bad, 4 the last good image again, 5 the step from it.
    assert torch.equal(evaluate.points[4], iterates[2].image)
    moved = (iterates[3].image - iterates[2].image).abs().max().item()
    # Adam's first step after a fresh start is its step size (epsilon 1e-8 aside).
    assert moved < 0.5 * step_size
    assert moved == pytest.approx(0.25 * step_size, rel=1e-6)


def test_steps_become_shorter_with_each_recovery() -> None:
    evaluate = FailsAt(lambda call: call in {1, 3, 5})
    iterates, told = run(Adam(averaging=0), evaluate, 1)
    trials = [(evaluate.points[call] - start()).abs().max().item() for call in (1, 3, 5, 7)]
    assert len(told) == 3
    assert trials == sorted(trials, reverse=True)
    assert trials[3] < 0.1 * trials[0]
    assert len(iterates) == 2


def test_the_callback_names_the_step_and_the_term() -> None:
    _, told = run(LBFGS(), FailsAt(lambda call: call == 2), 5)
    (message,) = told
    assert "step 2" in message
    assert "style" in message
    assert "content" not in message
    assert "\n" not in message


def test_a_gradient_that_is_not_finite_counts_too() -> None:
    def evaluate(image: Tensor) -> Evaluation:
        good = bowl(image)
        if torch.equal(image, start()):
            return good
        return Evaluation(good.value, good.losses, good.gradient / 0)

    with pytest.raises(NumericalError):
        run(LBFGS(line_search="none"), evaluate, 5)


def test_a_later_step_may_leave_the_finite_numbers_in_one_place_alone() -> None:
    # A wall: nothing is finite beyond it, and the minimum is on this side.
    def evaluate(image: Tensor) -> Evaluation:
        return not_finite(image) if image.max().item() > 1.004 else bowl(image)

    iterates, told = run(LBFGS(line_search="none"), evaluate, 20)
    assert len(iterates) == 21
    assert len(told) <= 5
    assert iterates[-1].evaluation.value < 1e-6


def only_at_the_start(image: Tensor) -> Evaluation:
    return bowl(image) if torch.equal(image, start()) else not_finite(image)


@pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER)
def test_gives_up_after_a_few_restarts(optimizer: Optimizer) -> None:
    told: list[str] = []
    guarded = steps_with_recovery(
        optimizer, Minimization(start(), only_at_the_start, 50), told.append
    )
    assert torch.equal(next(guarded).image, start())
    with pytest.raises(NumericalError) as raised:
        next(guarded)
    assert 2 <= len(told) <= 10
    assert "\n" not in str(raised.value)


def test_the_callback_is_not_told_of_a_restart_that_never_comes() -> None:
    told: list[str] = []
    with pytest.raises(NumericalError) as raised:
        list(steps_with_recovery(Adam(), Minimization(start(), only_at_the_start, 50), told.append))
    # The number of restarts that the error speaks of is that of the notices.
    assert f" {len(told)} restarts" in str(raised.value)


@pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER)
def test_a_first_image_that_is_not_finite_is_an_error_that_names_the_term(
    optimizer: Optimizer,
) -> None:
    told: list[str] = []
    with pytest.raises(NumericalError, match="style = inf") as raised:
        list(steps_with_recovery(optimizer, Minimization(start(), not_finite, 5), told.append))
    assert "content" not in str(raised.value)
    assert told == []
