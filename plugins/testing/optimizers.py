"""Checks of the contracts of an optimizer and of an initialiser."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor

from ...core.interfaces.optimizer import (
    Evaluation,
    Initializer,
    Iterate,
    Minimization,
    OptimizerState,
    StartingPoint,
)
from ...core.interfaces.specs import InitializerSpec, OptimizerSpec
from ...core.optimizers.checked import CheckedOptimizer, checked_image
from ...core.validation import validated
from .checks import Check, require, run_all, stylectl_errors_fail
from .pictures import painting, photo

_SIDE = 8

#: Steps in which any descent lowers a well conditioned quadratic function.
_STEPS = 20


def check_optimizer(spec: OptimizerSpec, *, options: Mapping[str, Any] = {}) -> None:
    """Run all of `optimizer_checks`. Raises AssertionError for the first that fails."""
    run_all(optimizer_checks(spec, options=options), Path())


def optimizer_checks(spec: OptimizerSpec, *, options: Mapping[str, Any] = {}) -> list[Check]:
    """Return the checks of the optimizer of `spec` with `options`, on a quadratic function.

    - ``keeps_the_contract``: it yields the starting point first, then iterates of the image's
      shape, without end, and returns the number of images that it holds.
    - ``minimises``: it lowers the function.
    - ``changes_no_image``: neither the image that it gets, nor one that it has yielded.
    - ``keeps_its_state_in_the_iterator``: two alternating iterations do not disturb each other.
    - ``step_factor_shortens_steps``: with 1/1000, the first step is shorter.
    - ``resumes_to_the_last_bit``: if its iterates have a state, the minimisation goes on from each.
    """
    case = _Optimizer(spec, options)
    functions = {
        "keeps_the_contract": case.check_contract,
        "minimises": case.check_descent,
        "changes_no_image": case.check_images,
        "keeps_its_state_in_the_iterator": case.check_alternation,
        "step_factor_shortens_steps": case.check_step_factor,
        "resumes_to_the_last_bit": case.check_states,
    }
    subject = getattr(spec, "name", "optimizer")
    return [
        Check(subject, name, stylectl_errors_fail(function)) for name, function in functions.items()
    ]


@dataclass(frozen=True)
class _Optimizer:
    """An optimizer with its options, and its checks."""

    spec: OptimizerSpec
    options: Mapping[str, Any]

    def optimizer(self) -> CheckedOptimizer:
        spec = self.spec
        require(isinstance(spec, OptimizerSpec), f"not an OptimizerSpec: {spec!r}")
        optimizer = validated(spec.options, self.options, f"optimizer {spec.name}")
        return CheckedOptimizer(optimizer=optimizer, label=f"the optimizer {spec.name!r}")

    def images(self) -> list[Tensor]:
        """Return copies of the images of all iterates."""
        steps = self.optimizer().iterate(_problem())
        return [iterate.image.clone() for iterate in islice(steps, _STEPS + 1)]

    def check_contract(self, folder: Path) -> None:
        require(
            self.optimizer().images_held(_STEPS) >= 2,
            "images_held must count an image and a gradient, at least",
        )
        require(
            torch.equal(self.images()[0], _problem().image),
            "its first iterate is not the starting point",
        )

    def check_descent(self, folder: Path) -> None:
        values = [_evaluate(image).value for image in self.images()]
        require(
            values[-1] < values[0], f"it does not minimise: from {values[0]:g} to {values[-1]:g}"
        )

    def check_images(self, folder: Path) -> None:
        problem, iterates, copies = _problem(), [], []
        for iterate in islice(self.optimizer().iterate(problem), _STEPS + 1):
            iterates.append(iterate)
            copies.append(iterate.image.clone())
        require(
            torch.equal(problem.image, _problem().image),
            "it changes the image that it starts from",
        )
        for iterate, copy in zip(iterates, copies, strict=True):
            require(torch.equal(iterate.image, copy), "it changes an image that it has yielded")

    def check_alternation(self, folder: Path) -> None:
        optimizer, expected = self.optimizer(), self.images()
        pair = [optimizer.iterate(_problem()) for _ in range(2)]
        for image in expected:
            for iteration in pair:
                require(
                    torch.equal(next(iteration).image, image),
                    "two iterations disturb each other; keep the state in the iterator",
                )

    def check_step_factor(self, folder: Path) -> None:
        problem = _problem()
        (_, short) = islice(self.optimizer().iterate(replace(problem, step_factor=1e-3)), 2)
        lengths = [
            (image - problem.image).norm().item() for image in (short.image, self.images()[1])
        ]
        require(lengths[0] < lengths[1], "a smaller step factor does not shorten its first step")

    def check_states(self, folder: Path) -> None:
        optimizer, images = self.optimizer(), self.images()
        iterates = islice(optimizer.iterate(_problem()), _STEPS + 1)
        states = {step: _stored(iterate) for step, iterate in enumerate(iterates)}
        if all(state is None for state in states.values()):
            raise SkipTest("its iterates have no state, so that runs with it cannot be resumed")
        for step, state in states.items():
            if state is None:
                continue
            problem = replace(_problem(), image=images[step].clone(), state=state)
            resumed = islice(optimizer.iterate(problem), _STEPS - step)
            for iterate, image in zip(resumed, images[step + 1 :], strict=True):
                require(
                    torch.equal(iterate.image, image),
                    f"resumed from its state after {step} steps, it takes other steps",
                )


def _problem() -> Minimization:
    return Minimization(photo(_SIDE, _SIDE), _evaluate, _STEPS)


def _stored(iterate: Iterate) -> OptimizerState | None:
    """Return the iterate's state as a checkpoint stores it: copied, its values through JSON."""
    if iterate.state is None:
        return None
    state = iterate.state()
    tensors = {name: tensor.clone() for name, tensor in state.tensors.items()}
    return OptimizerState(tensors, json.loads(json.dumps(state.values)))


def check_initializer(spec: InitializerSpec, *, options: Mapping[str, Any] = {}) -> None:
    """Run all of `initializer_checks`. Raises AssertionError for the first that fails."""
    run_all(initializer_checks(spec, options=options), Path())


def initializer_checks(spec: InitializerSpec, *, options: Mapping[str, Any] = {}) -> list[Check]:
    """Return the checks of the initialiser of `spec` with `options`.

    It gets a content image and two style images.

    - ``keeps_the_contract``: its image is finite, of the content's shape, type and device, and not
      the content itself.
    - ``changes_no_image``: none of those that it gets.
    - ``seed_decides``: the same seed gives the same image; `random` is whether another seed gives
      another image.
    """
    case = _Initializer(spec, options)
    functions = {
        "keeps_the_contract": case.check_contract,
        "changes_no_image": case.check_images,
        "seed_decides": case.check_seed,
    }
    subject = getattr(spec, "name", "initialiser")
    return [
        Check(subject, name, stylectl_errors_fail(function)) for name, function in functions.items()
    ]


@dataclass(frozen=True)
class _Initializer:
    """An initialiser with its options, and its checks."""

    spec: InitializerSpec
    options: Mapping[str, Any]

    def initializer(self) -> Initializer:
        spec = self.spec
        require(isinstance(spec, InitializerSpec), f"not an InitializerSpec: {spec!r}")
        return validated(spec.options, self.options, f"initialiser {spec.name}")

    def image(self, start: StartingPoint) -> Tensor:
        return checked_image(self.initializer(), start, f"the initialiser {self.spec.name!r}")

    def check_contract(self, folder: Path) -> None:
        start = _start(1)
        image = self.image(start)
        same = image.data_ptr() == start.content.data_ptr()
        require(not same, "it returns the content itself, not a copy")

    def check_images(self, folder: Path) -> None:
        start, copy = _start(1), _start(1)
        self.image(start)
        pairs = [(start.content, copy.content)]
        pairs += [(own[0], other[0]) for own, other in zip(start.styles, copy.styles, strict=True)]
        for image_after, image in pairs:
            require(torch.equal(image_after, image), "it changes an image that it gets")

    def check_seed(self, folder: Path) -> None:
        first, again, other = (self.image(_start(seed)) for seed in (1, 1, 2))
        require(torch.equal(first, again), "one seed gives two images; draw from `start.generator`")
        is_random = self.initializer().random
        require(
            torch.equal(first, other) != is_random,
            f"`random` is {is_random}, but another seed shows the opposite",
        )


def _start(seed: int) -> StartingPoint:
    styles = ((painting(_SIDE + 2, _SIDE), 0.75), (painting(_SIDE, _SIDE), 0.25))
    return StartingPoint(photo(_SIDE, _SIDE + 3), styles, torch.Generator().manual_seed(seed))


def _evaluate(image: Tensor) -> Evaluation:
    """Value and gradient of a quadratic function whose curvatures differ by a factor of 4."""
    generator = torch.Generator().manual_seed(0)
    curvature = 1 + 3 * torch.rand(image.shape, generator=generator, dtype=image.dtype)
    residual = image - 0.5
    value = float((0.5 * curvature * residual.square()).sum())
    return Evaluation(value, {"quadratic": value}, curvature * residual)
