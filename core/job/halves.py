"""The two halves of a job: what determines the result, and how this machine computes it.

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
    """Marks a field that says how a machine computes the result, such as a device or a limit."""


HOW_COMPUTED = HowComputed()


def how_computed(model: type[BaseModel]) -> frozenset[str]:
    """Names of the model's fields that are marked `HOW_COMPUTED`."""
    return frozenset(
        name for name, field in model.model_fields.items() if HOW_COMPUTED in field.metadata
    )


def determining_values(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that determine the result, with the model's defaults for fields that are not
    among them: what was written before a field existed had its default."""
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
        if not field.is_required()
    }
    left_out = how_computed(model)
    complete = {name: value for name, value in defaults.items() if value is not None} | dict(values)
    return {name: value for name, value in complete.items() if name not in left_out}
