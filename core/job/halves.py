"""The two halves of a job: what determines the result, and how a machine computes it.

A field of the second half is marked in its model, as in ``device: Annotated[str, HOW_COMPUTED]``. A
finished result is recognised by the first half alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True)
class HowComputed:
    """Mark of a field that says how a machine computes the result: a device, a limit."""


HOW_COMPUTED = HowComputed()


def how_computed(model: type[BaseModel]) -> frozenset[str]:
    """Return the names of the model's fields that are marked `HOW_COMPUTED`."""
    return frozenset(
        name for name, field in model.model_fields.items() if HOW_COMPUTED in field.metadata
    )


def determining_values(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that determine the result, completed by the model's defaults.

    A record that was written before a field existed has no value of it: the default was in effect.
    """
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
        if not field.is_required()
    }
    excluded = how_computed(model)
    complete = {name: value for name, value in defaults.items() if value is not None} | dict(values)
    return {name: value for name, value in complete.items() if name not in excluded}
