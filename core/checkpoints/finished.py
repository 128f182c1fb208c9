"""Checkpoints of results that are written; a run deletes its own, unless it is killed before."""

from __future__ import annotations

from collections.abc import Sequence

from ..planning.plan import Plan
from ..planning.registry import Registry
from .conditions import planned_conditions
from .folder import Checkpoints


def remove_finished(
    checkpoints: Checkpoints, plan: Plan, registry: Registry, outputs: Sequence[str]
) -> None:
    """Remove the checkpoints of a job whose outputs are written, except those in use.

    `outputs` are the absolute paths of all outputs of the run.
    """
    wanted = tuple(outputs)
    stored = [one for one in checkpoints.stored() if one.header.request.outputs == wanted]
    if not stored:
        return
    job = planned_conditions(plan, registry)["job"]
    for one in stored:
        if one.header.conditions.get("job") == job:
            checkpoints.remove(one.folder)
