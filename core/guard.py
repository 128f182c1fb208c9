"""Keeping a run alive when the loss leaves the finite numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

from .errors import NumericalError
from .optimizers import Evaluate, Iterate, Optimizer

_MOST_RECOVERIES = 5
_SHORTER = 0.25


def steps_with_recovery(
    optimizer: Optimizer,
    image: Tensor,
    evaluate: Evaluate,
    steps: int,
    recovered: Callable[[str], None],
) -> Iterator[Iterate]:
    """The starting point and `steps` iterates, all of them finite.

    After an evaluation that is not finite the optimizer starts afresh from the last good image with
    shorter steps, and `recovered` is told so. Raises NumericalError when the very first evaluation
    is not finite, or when a few recoveries did not help.
    """
    done, culprit = -1, ""
    for attempt in range(_MOST_RECOVERIES + 1):
        step_scale = _SHORTER**attempt
        iterates = optimizer.iterate(image, evaluate, step_scale)
        if attempt > 0:
            recovered(
                f"step {done + 1}: the loss is not finite ({culprit}); "
                f"going on from the last good picture with {step_scale:g} of the step"
            )
            next(iterates)  # the last good image, which was yielded before
        for iterate in iterates:
            if not iterate.evaluation.finite:
                culprit = iterate.evaluation.culprit
                break
            image, done = iterate.image, done + 1
            yield iterate
            if done == steps:
                return
        if done < 0:
            raise NumericalError(
                f"the loss of the first image is not finite ({culprit}); "
                "lower the weights, or choose another precision"
            )
    raise NumericalError(
        f"the loss stayed not finite ({culprit}) after {_MOST_RECOVERIES} restarts with smaller "
        "steps; lower the weights, or choose another optimizer or precision"
    )
