"""Recovery from losses that are not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

from ..errors import NumericalError
from ..interfaces.optimizer import Evaluate, Iterate, Optimizer

_MOST_RECOVERIES = 5
_SHORTER = 0.25


def steps_with_recovery(
    optimizer: Optimizer,
    image: Tensor,
    evaluate: Evaluate,
    steps: int,
    notify: Callable[[str], None],
) -> Iterator[Iterate]:
    """Yield the starting point and `steps` iterates, all of them finite.

    After an evaluation that is not finite the optimizer is restarted from the last good image with
    shorter steps, and `notify` is called with a message. Raises NumericalError if the first
    evaluation is not finite, or if a few restarts did not help.
    """
    done, source = -1, ""
    for attempt in range(_MOST_RECOVERIES + 1):
        step_scale = _SHORTER**attempt
        iterates = optimizer.iterate(image, evaluate, step_scale, steps - max(done, 0))
        if attempt > 0:
            notify(
                f"step {done + 1}: the loss is not finite ({source}); "
                f"continuing from the last good result with {step_scale:g} of the step size"
            )
            next(iterates)  # the last good image, which was yielded before
        for iterate in iterates:
            if not iterate.evaluation.finite:
                source = iterate.evaluation.nonfinite_source
                break
            image, done = iterate.image, done + 1
            yield iterate
            if done == steps:
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
