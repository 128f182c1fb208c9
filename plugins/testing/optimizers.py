"""Checks of the contracts of an optimizer and of an initialiser."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from ...core.errors import StylectlError
from ...core.interfaces.optimizer import (
    Evaluation,
    Iterate,
    Minimization,
    OptimizerState,
    StartingPoint,
)
from ...core.interfaces.specs import InitializerSpec, OptimizerSpec
from ...core.optimizers.checked import CheckedOptimizer, checked_image
from ...core.validation import validated
from .pictures import painting, photo
from .require import require

_SIDE = 8

#: Steps in which any descent lowers a well conditioned quadratic function.
_STEPS = 20


def check_optimizer(spec: OptimizerSpec, *, options: Mapping[str, Any] = {}) -> None:
    """Check the optimizer that `spec` makes with `options`, on a quadratic function of an image.

    - It yields the starting point first, then iterates of the image's shape, without end.
    - It lowers the function.
    - It changes neither the image that it gets nor an image that it has yielded.
    - It has no state outside an iteration: two alternating iterations do not disturb each other.
    - With a step factor of 1/1000, the first step is shorter.
    - It returns the number of images that it holds.
    - If its iterates have a state, the minimisation goes on from each of them, to the last bit.

    Raises AssertionError.
    """
    require(isinstance(spec, OptimizerSpec), f"not an OptimizerSpec: {spec!r}")
    optimizer = CheckedOptimizer(
        optimizer=validated(spec.options, options, f"optimizer {spec.name}"),
        label=f"the optimizer {spec.name!r}",
    )
    start = photo(_SIDE, _SIDE)
    before = start.clone()
    try:
        require(
            optimizer.images_held(_STEPS) >= 2,
            "images_held must count an image and a gradient, at least",
        )
        problem = Minimization(start, _evaluate, _STEPS)
        iterates, copies, states = [], [], []
        for iterate in islice(optimizer.iterate(problem), _STEPS + 1):
            iterates.append(iterate)
            copies.append(iterate.image.clone())
            states.append(_stored(iterate))
        pair = [optimizer.iterate(problem) for _ in range(2)]
        alternating = [[next(iteration).image for iteration in pair] for _ in range(_STEPS + 1)]
        (_, short) = islice(optimizer.iterate(replace(problem, step_factor=1e-3)), 2)
        resumed = _resumed(optimizer, problem, copies, states)
    except StylectlError as error:
        raise AssertionError(str(error)) from error
    require(torch.equal(start, before), "it changes the image that it starts from")
    require(torch.equal(iterates[0].image, start), "its first iterate is not the starting point")
    for iterate, copy in zip(iterates, copies, strict=True):
        require(torch.equal(iterate.image, copy), "it changes an image that it has yielded")
    values = [_evaluate(iterate.image).value for iterate in iterates]
    require(values[-1] < values[0], f"it does not minimise: from {values[0]:g} to {values[-1]:g}")
    for (first, second), copy in zip(alternating, copies, strict=True):
        require(
            torch.equal(first, copy) and torch.equal(second, copy),
            "two iterations disturb each other; keep the state in the iterator",
        )
    lengths = [(step.image - start).norm().item() for step in (short, iterates[1])]
    require(lengths[0] < lengths[1], "a smaller step factor does not shorten its first step")
    for step, images in resumed.items():
        require(
            all(torch.equal(*both) for both in zip(images, copies[step + 1 :], strict=True)),
            f"resumed from its state after {step} steps, it takes other steps",
        )


def _stored(iterate: Iterate) -> OptimizerState | None:
    """Return the iterate's state as a checkpoint stores it: copied, its values through JSON."""
    if iterate.state is None:
        return None
    state = iterate.state()
    tensors = {name: tensor.clone() for name, tensor in state.tensors.items()}
    return OptimizerState(tensors, json.loads(json.dumps(state.values)))


def _resumed(
    optimizer: CheckedOptimizer,
    problem: Minimization,
    images: Sequence[Tensor],
    states: Sequence[OptimizerState | None],
) -> dict[int, list[Tensor]]:
    """Return, for each step with a state, the images of the minimisation resumed from there."""
    resumed = {}
    for step, (image, state) in enumerate(zip(images, states, strict=True)):
        if state is not None:
            again = optimizer.iterate(replace(problem, image=image.clone(), state=state))
            resumed[step] = [iterate.image for iterate in islice(again, _STEPS - step)]
    return resumed


def check_initializer(spec: InitializerSpec, *, options: Mapping[str, Any] = {}) -> None:
    """Check the initialiser that `spec` makes with `options`, on a content image and two styles.

    - Its image is finite, of the content's shape, type and device, and not the content itself.
    - It changes none of the images.
    - The same seed gives the same image; `random` is whether another seed gives another image.

    Raises AssertionError.
    """
    require(isinstance(spec, InitializerSpec), f"not an InitializerSpec: {spec!r}")
    initializer = validated(spec.options, options, f"initialiser {spec.name}")
    content = photo(_SIDE, _SIDE + 3)
    styles = ((painting(_SIDE + 2, _SIDE), 0.75), (painting(_SIDE, _SIDE), 0.25))
    copies = [image.clone() for image in (content, *(style for style, _ in styles))]

    def image(seed: int) -> Tensor:
        start = StartingPoint(content, styles, torch.Generator().manual_seed(seed))
        try:
            return checked_image(initializer, start, f"the initialiser {spec.name!r}")
        except StylectlError as error:
            raise AssertionError(str(error)) from error

    first, again, other = image(1), image(1), image(2)
    require(first.data_ptr() != content.data_ptr(), "it returns the content itself, not a copy")
    for image_after, copy in zip((content, *(style for style, _ in styles)), copies, strict=True):
        require(torch.equal(image_after, copy), "it changes an image that it gets")
    require(torch.equal(first, again), "one seed gives two images; draw from `start.generator`")
    require(
        torch.equal(first, other) != initializer.random,
        f"`random` is {initializer.random}, but another seed shows the opposite",
    )


def _evaluate(image: Tensor) -> Evaluation:
    """Value and gradient of a quadratic function whose curvatures differ by a factor of 4."""
    generator = torch.Generator().manual_seed(0)
    curvature = 1 + 3 * torch.rand(image.shape, generator=generator, dtype=image.dtype)
    residual = image - 0.5
    value = float((0.5 * curvature * residual.square()).sum())
    return Evaluation(value, {"quadratic": value}, curvature * residual)
