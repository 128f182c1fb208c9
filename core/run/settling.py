"""Early end of a scale whose loss does not change any more."""

from __future__ import annotations

from collections.abc import Sequence

from ..interfaces.result import StepRecord

#: Steps over which the change of the loss is taken.
STEPS = 10


def settled(records: Sequence[StepRecord], least_change: float) -> bool:
    """Return whether the loss has settled at the scale of the last of these records.

    It has if the losses of the last ten steps and of the one before them differ by no more than
    `least_change` times their mean. In float32, an optimizer at a minimum changes the loss by some
    1e-7 of it, and a line search spends ten evaluations a step there. The records of a resumed run
    begin before it, so that it ends at the same step.
    """
    if least_change == 0:
        return False
    scale = records[-1].scale
    values = [record.loss for record in records[-STEPS - 1 :] if record.scale == scale]
    if len(values) <= STEPS:
        return False
    return max(values) - min(values) <= least_change * abs(sum(values)) / len(values)
