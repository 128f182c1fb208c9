"""Validating options by pydantic models, with messages of one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound="BaseModel")


class Text(str):
    """A value as it was typed. The field that it is for reads it by the field's own type: "007" is
    7 for an `int` and "007" for a `str`."""

    __slots__ = ()


def validated(model: type[M], options: Mapping[str, Any], owner: str) -> M:
    """Options as a model's instance. Raises UsageError that names the owner and the option."""
    from pydantic import ValidationError

    values = {
        name: _read(value, model.model_fields[name].annotation)
        if isinstance(value, Text) and name in model.model_fields
        else value
        for name, value in options.items()
    }
    try:
        return model.model_validate(values)
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


def _read(text: Text, annotation: Any) -> Any:
    """The first reading of the text that the field's type takes: as text, which pydantic converts,
    as a number (for literal numbers), as several values with commas between them. The text, if it
    takes none: the complaint is then about what was typed."""
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(annotation)
    plain = str(text)
    for candidate in (plain, *_numbers(plain), plain.split(",")):
        try:
            adapter.validate_python(candidate)
        except ValidationError:
            continue
        return candidate
    return plain


def _numbers(text: str) -> list[float]:
    found: list[float] = []
    for kind in (int, float):
        try:
            found.append(kind(text))
        except ValueError:
            continue
    return found
