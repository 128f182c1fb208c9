"""Validation of options by pydantic models, with messages of one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import UsageError, did_you_mean
from .shown import one_line

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

#: Longest value that a message quotes, in characters.
_LONGEST = 100

M = TypeVar("M", bound="BaseModel")


class Text(str):
    """A value as it was typed, to be parsed by the type of its field.

    "007" is 7 for an `int` and "007" for a `str`.
    """

    __slots__ = ()


def validated(model: type[M], options: Mapping[str, Any], owner: str) -> M:
    """Return the options as a model's instance.

    Raises UsageError that names the owner and the option.
    """
    from pydantic import ValidationError

    values = {
        name: parsed(value, model.model_fields[name].annotation)
        if isinstance(value, Text) and name in model.model_fields
        else value
        for name, value in options.items()
    }
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{owner}: {described(error, model.model_fields)}") from None


def described(error: ValidationError, known: Iterable[str]) -> str:
    """Return a message about the first invalid value, with its key; `known` are the valid keys."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"there is no {key!r}; {did_you_mean(key, known)}"
    if first["type"] == "missing":
        return f"{key} is missing"
    return f"{key} {complaint(error)}".lstrip()


def complaint(error: ValidationError) -> str:
    """Return a message about the first invalid value, without its key."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    value = first["input"]
    return message if isinstance(value, dict | list | tuple) else f"{message}, got {_shown(value)}"


def _shown(value: object) -> str:
    try:
        return one_line(repr(value), _LONGEST)
    except ValueError:  # a number of thousands of digits
        return "a number of too many digits"


def parsed(text: Text, annotation: Any) -> Any:
    """Return the first interpretation of the text that is valid for the field's type.

    The interpretations are: text, which pydantic converts; a number (for literal numbers); values
    separated by commas. If none is valid, returns the text, so that the message quotes it.
    """
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
    numbers: list[float] = []
    for kind in (int, float):
        try:
            numbers.append(kind(text))
        except ValueError:
            continue
    return numbers
