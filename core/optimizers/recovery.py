"""Recovery from losses that are not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..errors import NumericalError
from ..interfaces.optimizer import (
    Evaluate,
    Evaluation,
    Iterate,
    Minimization,
    Optimizer,
    OptimizerState,
)

if TYPE_CHECKING:
    from torch import Tensor

_MOST_RECOVERIES = 5
_SHORTER = 0.25


def steps_with_recovery(
    optimizer: Optimizer, problem: Minimization, notify: Callable[[str], None]
) -> Iterator[Iterate]:
    """Yield the starting point and `problem.steps` iterates, all of them finite.

    With a `problem.state`, which an iterate of this function has returned, yield the iterates after
    that one.

    After an evaluation that is not finite the optimizer is restarted from the last good image with
    shorter steps, and `notify` is called with a message. Raises NumericalError if the first
    evaluation is not finite, or if a few restarts did not help.
    """
    image, steps, state = problem.image, problem.steps, problem.state
    evaluate = _naming_overflow(problem.evaluate)
    del problem  # frees its image once that is replaced
    attempts, done, begun, source = 0, -1, 0, ""
    if state is not None:
        attempts, done, begun = (state.values[key] for key in ("attempts", "done", "begun"))
        state = OptimizerState(state.tensors, state.values["optimizer"])
    for attempt in range(attempts, _MOST_RECOVERIES + 1):
        step_factor = _SHORTER**attempt
        begun = max(done, 0) if state is None else begun
        iterates = optimizer.iterate(
            Minimization(image, evaluate, steps - begun, step_factor, state)
        )
        if attempt > 0 and state is None:
            notify(
                f"step {done + 1}: the loss is not finite ({source}); "
                f"continuing from the last good result with {step_factor:g} of the step size"
            )
            next(iterates)  # the last good image, which was yielded before
        state = None
        while done < steps:
            iterate = next(iterates)
            if not iterate.evaluation.finite:
                source = iterate.evaluation.nonfinite_source
                break
            image, done = iterate.image, done + 1
            values = {"attempts": attempt, "done": done, "begun": begun}
            yield _with_values(iterate, values)
        else:
            return
        if done < 0:
            raise NumericalError(
                f"the loss of the first image is not finite ({source}); "
                "lower the weights, or choose another precision"
            )
    raise NumericalError(
        f"the loss is still not finite ({source}) after {_MOST_RECOVERIES} restarts with smaller "
        "steps; lower the weights, or choose another optimizer or precision"
    )


def _naming_overflow(evaluate: Evaluate) -> Evaluate:
    """Return `evaluate`, which names the largest loss where a step left the range of float32.

    At such an image every loss is not finite, also those that are not the reason. The source of
    numbers that were not finite before such a step stays the source.
    """
    losses: dict[str, float] = {}
    source = ""

    def evaluated(image: Tensor) -> Evaluation:
        nonlocal losses, source
        evaluation = evaluate(image)
        if evaluation.nonfinite_source == "":
            losses, source = evaluation.losses, ""
        elif image.isfinite().all():
            source = evaluation.nonfinite_source
        elif source:
            return replace(evaluation, nonfinite_source=source)
        elif losses:
            name = max(losses, key=lambda name: abs(losses[name]))
            source = f"a step from the loss {name} = {losses[name]:.4g} left the range of float32"
            return replace(evaluation, nonfinite_source=source)
        return evaluation

    return evaluated


def _with_values(iterate: Iterate, values: dict[str, int]) -> Iterate:
    """Return the iterate, with `values` added to its state."""
    if iterate.state is None:
        return iterate

    def state(optimizers: Callable[[], OptimizerState]) -> OptimizerState:
        inner = optimizers()
        return OptimizerState(inner.tensors, {**values, "optimizer": inner.values})

    return replace(iterate, state=partial(state, iterate.state))
