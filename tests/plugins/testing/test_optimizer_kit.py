"""The kit's checks of optimizers and initialisers: they pass the built-in ones and find faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, ClassVar

import pytest
import torch
from stylectl import (
    Evaluation,
    Initializer,
    InitializerSpec,
    Iterate,
    Minimization,
    Optimizer,
    OptimizerSpec,
    OptimizerState,
    StartingPoint,
)
from stylectl.core.planning.registry import Registry
from stylectl.testing import check_initializer, check_optimizer
from torch import Tensor


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lbfgs", {}),
        ("lbfgs", {"line_search": "none"}),
        ("lbfgs", {"line_search": "strong-wolfe", "scaling": "scalar"}),
        ("adam", {}),
        ("adam", {"averaging": 0}),
    ],
)
def test_built_in_optimizers_pass(registry: Registry, name: str, options: dict[str, Any]) -> None:
    check_optimizer(registry.optimizers.get(name), options=options)


@pytest.mark.parametrize("name", ["content", "content+noise", "noise", "style"])
def test_built_in_initialisers_pass(registry: Registry, name: str) -> None:
    check_initializer(registry.initializers.get(name))


class Descent(Optimizer):
    """Plain gradient descent."""

    def images_held(self, steps: int) -> int:
        return 3

    def iterate(self, problem: Minimization) -> Iterator[Iterate]:
        image = problem.image
        while True:
            evaluation = problem.evaluate(image)
            yield Iterate(image, evaluation)
            image = image - 0.1 * problem.step_factor * evaluation.gradient


class Ascent(Descent):
    def iterate(self, problem: Minimization) -> Iterator[Iterate]:
        for iterate in super().iterate(problem):
            yield Iterate(2 * problem.image - iterate.image, iterate.evaluation)


class Ending(Descent):
    def iterate(self, problem: Minimization) -> Iterator[Iterate]:
        yield next(super().iterate(problem))


class InPlace(Descent):
    def iterate(self, problem: Minimization) -> Iterator[Iterate]:
        image = problem.image
        while True:
            evaluation = problem.evaluate(image)
            yield Iterate(image, evaluation)
            image -= 0.1 * problem.step_factor * evaluation.gradient


class Deaf(Descent):
    def iterate(self, problem: Minimization) -> Iterator[Iterate]:
        return super().iterate(replace(problem, step_factor=1.0))


class Remembering(Descent):
    momentum: ClassVar[list[Tensor]] = []

    def iterate(self, problem: Minimization) -> Iterator[Iterate]:
        image, length = problem.image, 0.1 * problem.step_factor
        self.momentum[:] = [torch.zeros_like(image)]
        while True:
            evaluation = problem.evaluate(image)
            yield Iterate(image, evaluation)
            self.momentum[0] = 0.5 * self.momentum[0] - length * evaluation.gradient
            image = image + self.momentum[0]


class Flat(Descent):
    def iterate(self, problem: Minimization) -> Iterator[Iterate]:
        for iterate in super().iterate(problem):
            yield Iterate(iterate.image[0], iterate.evaluation)


class Empty(Descent):
    def images_held(self, steps: int) -> int:
        return 0


class Momentum(Descent):
    """Descent with momentum, which can be resumed."""

    def iterate(self, problem: Minimization) -> Iterator[Iterate]:
        if problem.state is None:
            image, momentum = problem.image, torch.zeros_like(problem.image)
            evaluation = problem.evaluate(image)
            gradient = evaluation.gradient
            yield Iterate(image, evaluation, partial(self.state, momentum, gradient))
        else:
            image, momentum = problem.image, problem.state.tensors["momentum"]
            gradient = problem.state.tensors["gradient"]
        while True:
            momentum = 0.5 * momentum - 0.1 * problem.step_factor * gradient
            image = image + momentum
            evaluation = problem.evaluate(image)
            gradient = evaluation.gradient
            yield Iterate(image, evaluation, partial(self.state, momentum, gradient))

    def state(self, momentum: Tensor, gradient: Tensor) -> OptimizerState:
        return OptimizerState({"momentum": momentum, "gradient": gradient})


class Forgetting(Momentum):
    def state(self, momentum: Tensor, gradient: Tensor) -> OptimizerState:
        return super().state(torch.zeros_like(momentum), gradient)


class Unplain(Momentum):
    def state(self, momentum: Tensor, gradient: Tensor) -> OptimizerState:
        return OptimizerState({}, {"momentum": momentum})


class NoTensor(Momentum):
    def state(self, momentum: Tensor, gradient: Tensor) -> OptimizerState:
        return OptimizerState({"momentum": momentum.tolist()})  # type: ignore[dict-item]


@pytest.mark.parametrize("kind", [Descent, Momentum])
def test_a_third_partys_optimizer_passes(kind: type[Optimizer]) -> None:
    check_optimizer(OptimizerSpec(name="descent", summary="", options=kind))


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (Ascent, "does not minimise"),
        (Ending, "stopped by itself"),
        (InPlace, "changes"),
        (Deaf, "step factor"),
        (Remembering, "disturb each other"),
        (Flat, "image like the first"),
        (Empty, "images_held gives 0"),
        (Forgetting, "resumed from its state after 1 steps"),
        (Unplain, "state's values"),
        (NoTensor, "'momentum' is not a dense tensor"),
    ],
)
def test_a_fault_of_an_optimizer_is_found(kind: type[Optimizer], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_optimizer(OptimizerSpec(name="bad", summary="", options=kind))


class Itself(Initializer):
    random = False

    def image(self, start: StartingPoint) -> Tensor:
        return start.content


class Unseeded(Initializer):
    def image(self, start: StartingPoint) -> Tensor:
        return torch.rand(start.content.shape)


class Steady(Initializer):
    def image(self, start: StartingPoint) -> Tensor:
        return start.content.clone()


class Small(Initializer):
    def image(self, start: StartingPoint) -> Tensor:
        return start.content[..., ::2, ::2]


class Double(Initializer):
    def image(self, start: StartingPoint) -> Tensor:
        return start.content.double()


class Infinite(Initializer):
    def image(self, start: StartingPoint) -> Tensor:
        return start.content / 0


class Spoiling(Initializer):
    random = False

    def image(self, start: StartingPoint) -> Tensor:
        start.styles[0][0].zero_()
        return start.content.clone()


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (Itself, "not a copy"),
        (Unseeded, "one seed gives two images"),
        (Steady, "`random` is True"),
        (Small, "shaped like the content"),
        (Double, "float64"),
        (Infinite, "not finite"),
        (Spoiling, "changes an image"),
    ],
)
def test_a_fault_of_an_initialiser_is_found(kind: type[Initializer], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_initializer(InitializerSpec(name="bad", summary="", options=kind))


@pytest.mark.parametrize("name", ["lbfgs", "adam"])
def test_every_iterate_of_the_built_in_optimizers_has_a_state(
    registry: Registry, name: str
) -> None:
    def evaluate(image: Tensor) -> Evaluation:
        return Evaluation(0.5 * image.square().sum().item(), {}, image)

    problem = Minimization(torch.full((1, 3, 4, 4), 0.5), evaluate, 5)
    iterates = islice(registry.optimizers.get(name).options().iterate(problem), 6)
    assert all(iterate.state is not None for iterate in iterates)
