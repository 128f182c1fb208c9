from __future__ import annotations

from collections.abc import Callable
from itertools import islice, pairwise
from typing import Literal

import pytest
import torch
from stylectl.core.interfaces.optimizer import Evaluation, Iterate, Minimization, Optimizer
from stylectl.core.optimizers.adam import Adam
from stylectl.core.optimizers.lbfgs import LBFGS
from torch import Tensor

LineSearch = Literal["none", "armijo", "strong-wolfe"]
EVERY_SEARCH: list[LineSearch] = ["none", "armijo", "strong-wolfe"]

EVERY_OPTIMIZER = [
    pytest.param(LBFGS(line_search="none"), id="lbfgs-none"),
    pytest.param(LBFGS(line_search="armijo"), id="lbfgs-armijo"),
    pytest.param(LBFGS(line_search="strong-wolfe"), id="lbfgs-strong-wolfe"),
    pytest.param(Adam(), id="adam"),
    pytest.param(Adam(averaging=0), id="adam-no-average"),
]


class Function:
    """Value and gradient by autograd, with a memory of the points that were asked for."""

    def __init__(self, value: Callable[[Tensor], Tensor]) -> None:
        self.value = value
        self.points: list[Tensor] = []

    def __call__(self, image: Tensor) -> Evaluation:
        self.points.append(image.clone())
        leaf = image.detach().clone().requires_grad_()
        value = self.value(leaf)
        (gradient,) = torch.autograd.grad(value, leaf)
        return Evaluation(value.item(), {"it": value.item()}, gradient)


def minimum() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(1, 3, 4, 5, generator=generator, dtype=torch.float64)


def quadratic(condition: float = 100.0) -> Function:
    curvature = torch.logspace(0, torch.tensor(condition).log10().item(), 60, dtype=torch.float64)
    target = minimum()
    return Function(lambda x: 0.5 * (curvature.view_as(x) * (x - target).square()).sum())


def rosenbrock() -> Function:
    def value(x: Tensor) -> Tensor:
        flat = x.flatten()
        return (100 * (flat[1:] - flat[:-1] ** 2).square() + (1 - flat[:-1]).square()).sum()

    return Function(value)


def grey() -> Tensor:
    return torch.full((1, 3, 4, 5), 0.5, dtype=torch.float64)


def take(
    optimizer: Optimizer, function: Function, steps: int, start: Tensor, step_factor: float = 1.0
) -> list[Iterate]:
    problem = Minimization(start, function, steps, step_factor)
    return list(islice(optimizer.iterate(problem), steps + 1))


@pytest.mark.parametrize("line_search", EVERY_SEARCH)
def test_lbfgs_finds_the_minimum_of_a_quadratic(line_search: LineSearch) -> None:
    last = take(LBFGS(line_search=line_search), quadratic(), 100, grey())[-1]
    assert (last.image - minimum()).abs().max().item() < 1e-6


@pytest.mark.parametrize("line_search", ["armijo", "strong-wolfe"])
def test_lbfgs_finds_the_minimum_of_a_curved_valley(line_search: LineSearch) -> None:
    start = torch.tensor([-1.2, 1.0, -0.5, 0.8], dtype=torch.float64).view(1, 1, 2, 2)
    last = take(LBFGS(line_search=line_search), rosenbrock(), 200, start)[-1]
    # Either the minimum at ones, or the other one that four variables have near (-0.78, 0.61, ...).
    assert last.evaluation.gradient.abs().max().item() < 1e-6
    start = torch.tensor([0.5, 0.2, 0.4, 0.3], dtype=torch.float64).view(1, 1, 2, 2)
    last = take(LBFGS(line_search=line_search), rosenbrock(), 200, start)[-1]
    assert (last.image - 1).abs().max().item() < 1e-6


def test_adam_finds_the_minimum_of_a_quadratic() -> None:
    # Its steps stay near 0.02 long, so that it circles the minimum: the average comes nearer.
    last = take(Adam(averaging=0.9), quadratic(10), 800, grey())[-1]
    assert (last.image - minimum()).abs().max().item() < 1e-3


def test_adam_goes_down_a_curved_valley() -> None:
    start = torch.tensor([0.5, 0.2, 0.4, 0.3], dtype=torch.float64).view(1, 1, 2, 2)
    last = take(Adam(averaging=0), rosenbrock(), 5000, start)[-1]
    assert (last.image - 1).abs().max().item() < 0.02  # a step's length


@pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER)
def test_the_first_iterate_is_the_start(optimizer: Optimizer) -> None:
    function = quadratic()
    (first,) = take(optimizer, function, 0, grey())
    assert torch.equal(first.image, grey())
    assert first.evaluation.value == quadratic()(grey()).value
    assert len(function.points) == 1


@pytest.mark.parametrize(
    ("line_search", "most"),
    # A step costs one evaluation, and now and then a second. Nothing is evaluated ahead.
    [("none", 51), ("armijo", 56), ("strong-wolfe", 71)],
)
def test_lbfgs_evaluates_about_once_for_each_step(line_search: LineSearch, most: int) -> None:
    function = quadratic()
    take(LBFGS(line_search=line_search), function, 50, grey())
    assert 51 <= len(function.points) <= most


def test_adam_evaluates_once_for_each_step() -> None:
    function = quadratic()
    take(Adam(), function, 50, grey())
    assert len(function.points) == 51


def test_armijo_never_goes_up() -> None:
    start = torch.tensor([-1.2, 1.0, -0.5, 0.8], dtype=torch.float64).view(1, 1, 2, 2)
    values = [each.evaluation.value for each in take(LBFGS(), rosenbrock(), 40, start)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("line_search", EVERY_SEARCH)
def test_lbfgs_evaluation_belongs_to_the_image(line_search: LineSearch) -> None:
    iterates = take(LBFGS(line_search=line_search), quadratic(), 30, grey())
    for each in iterates:
        again = quadratic()(each.image)
        # image + step * direction is evaluated at one place and computed at another.
        assert each.evaluation.value == pytest.approx(again.value, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("line_search", EVERY_SEARCH)
def test_lbfgs_evaluation_belongs_to_the_image_where_every_trial_fails(
    line_search: LineSearch,
) -> None:
    # A gradient that points the wrong way (a loss term's bug, or rounding near a minimum): no
    # length passes, and the search has to end somewhere all the same.
    uphill = quadratic()
    asked: list[Tensor] = []

    def evaluate(image: Tensor) -> Evaluation:
        asked.append(image)
        right = uphill(image)
        return Evaluation(right.value, right.losses, -right.gradient)

    optimizer = LBFGS(line_search=line_search)
    for each in islice(optimizer.iterate(Minimization(grey(), evaluate, 3)), 3):
        assert each.evaluation.value == pytest.approx(quadratic()(each.image).value, rel=1e-9)
    assert len(asked) < 30


@pytest.mark.parametrize("line_search", EVERY_SEARCH)
def test_lbfgs_stays_at_a_minimum(line_search: LineSearch) -> None:
    for each in take(LBFGS(line_search=line_search), quadratic(), 3, minimum()):
        assert torch.equal(each.image, minimum())
        assert each.evaluation.finite


def test_lbfgs_first_step_changes_the_pixels_by_one_hundredth() -> None:
    start, first = take(LBFGS(line_search="none"), quadratic(), 1, grey())
    rms = (first.image - start.image).square().mean().sqrt().item()
    assert rms == pytest.approx(0.01, rel=1e-12)  # some 60 roundings


def test_lbfgs_with_exact_curvature_behaves_as_conjugate_gradients() -> None:
    # From a multiple of the identity, with a history as long as the run and nearly exact searches,
    # a quadratic with few distinct curvatures is done in about as many steps (Nocedal and Wright,
    # theorem 6.4).
    target = minimum()
    curvature = torch.tensor([1.0, 3.0, 10.0], dtype=torch.float64).view(1, 3, 1, 1)
    function = Function(lambda x: 0.5 * (curvature * (x - target).square()).sum())
    last = take(LBFGS(scaling="scalar"), function, 25, grey())[-1]
    assert (last.image - target).abs().max().item() < 1e-6


def test_adams_picture_is_the_corrected_average_of_its_points() -> None:
    decay, function = 0.9, quadratic()
    iterates = take(Adam(averaging=decay), function, 12, grey())
    points = function.points
    for step in range(1, 13):
        shares = [(1 - decay) * decay ** (step - k) for k in range(1, step + 1)]
        total = torch.zeros_like(grey())
        for share, point in zip(shares, points[1 : step + 1], strict=True):
            total += share * point
        # The shares add up to 1 - decay^step; a few dozen roundings.
        expected = total / sum(shares)
        torch.testing.assert_close(iterates[step].image, expected, rtol=1e-14, atol=1e-15)


def test_adam_without_averaging_gives_its_points() -> None:
    function = quadratic()
    iterates = take(Adam(averaging=0), function, 5, grey())
    for iterate, point in zip(iterates, function.points, strict=True):
        assert torch.equal(iterate.image, point)


def test_adams_points_agree_with_torchs() -> None:
    function = quadratic()
    take(Adam(averaging=0, step_size=0.02), function, 20, grey())
    parameter = grey().requires_grad_()
    theirs = torch.optim.Adam([parameter], lr=0.02, betas=(0.9, 0.99), eps=1e-8)
    for point in function.points:
        # The same recurrence in another order of operations.
        torch.testing.assert_close(point, parameter.detach(), rtol=1e-12, atol=1e-12)
        parameter.grad = quadratic()(parameter).gradient
        theirs.step()


@pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER)
def test_step_factor_shortens_the_first_step(optimizer: Optimizer) -> None:
    lengths = []
    for scale in (1.0, 0.25):
        start, first = take(optimizer, quadratic(), 1, grey(), scale)
        lengths.append((first.image - start.image).norm().item())
    if optimizer == LBFGS(line_search="strong-wolfe"):
        # It may lengthen what is too short, within its condition on the slope.
        assert lengths[1] <= lengths[0]
    else:
        # The difference of two images loses two digits of 1.1e-16.
        assert lengths[1] == pytest.approx(0.25 * lengths[0], rel=1e-12)


@pytest.mark.parametrize(
    "optimizer", [LBFGS(line_search="none"), LBFGS(line_search="armijo"), Adam(averaging=0)]
)
def test_step_factor_shortens_the_later_steps(optimizer: Optimizer) -> None:
    lengths = []
    for scale in (1.0, 1e-3):
        images = [each.image for each in take(optimizer, quadratic(), 5, grey(), scale)]
        lengths.append(sum((b - a).norm().item() for a, b in pairwise(images)))
    # About a thousandth for each step; L-BFGS's directions differ, as its points do.
    assert lengths[1] < 0.02 * lengths[0]


@pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER)
def test_iterates_are_new_tensors(optimizer: Optimizer) -> None:
    start = grey()
    seen: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for each in islice(optimizer.iterate(Minimization(start, quadratic(), 15)), 15):
        gradient = each.evaluation.gradient
        seen.append((each.image, each.image.clone(), gradient, gradient.clone()))
    assert len({image.data_ptr() for image, _, _, _ in seen}) == len(seen)
    for image, image_before, gradient, gradient_before in seen:
        assert torch.equal(image, image_before)
        assert torch.equal(gradient, gradient_before)
    assert torch.equal(start, grey())


@pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER)
def test_two_runs_of_one_optimizer_share_nothing(optimizer: Optimizer) -> None:
    first = take(optimizer, quadratic(), 10, grey())
    second = take(optimizer, quadratic(), 10, grey())
    assert all(torch.equal(a.image, b.image) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER)
def test_an_evaluation_that_is_not_finite_is_yielded(optimizer: Optimizer) -> None:
    good = quadratic()

    def evaluate(image: Tensor) -> Evaluation:
        if torch.equal(image, grey()):
            return good(image)
        return Evaluation(float("nan"), {"it": float("nan")}, torch.full_like(image, float("nan")))

    _, first = islice(optimizer.iterate(Minimization(grey(), evaluate, 3)), 2)
    assert not first.evaluation.finite
