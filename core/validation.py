"""pydantic's complaints, in one line and in the user's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .errors import UsageError, did_you_mean

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], options: Mapping[str, Any], owner: str) -> M:
    """Options as a model's instance. Raises UsageError that names the owner and the option."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        raise UsageError(f"{owner}: {described(error, model.model_fields)}") from None


def described(error: ValidationError, known: Iterable[str]) -> str:
    """The first thing that is wrong, with its place; `known` are the names that there are."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"there is no {where!r}; {did_you_mean(where, known)}"
    if first["type"] == "missing":
        return f"{where} is missing"
    return f"{where} {complaint(error)}".lstrip()


def complaint(error: ValidationError) -> str:
    """What is wrong with the first wrong value, without its place."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    given = "" if isinstance(first["input"], dict | list | tuple) else f", got {first['input']!r}"
    return message + given
