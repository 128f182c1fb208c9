"""How the values of options are read from text: flags, ``--set``, the cells of a manifest.

A reader takes the option's name, for messages, and the text. What it cannot take is a UsageError.
Values that a plugin's option model validates stay `Text`, which the model reads by the field's
type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import UsageError
from ..validation import Text

Reader = Callable[[str, str], Any]


def word(_option: str, text: str) -> str:
    """The text itself."""
    return text


def plain(_option: str, text: str) -> Text:
    """A value whose type the job's models know."""
    return Text(text)


def words(_option: str, text: str) -> list[str]:
    """``a,b``."""
    return text.split(",")


def size(option: str, text: str) -> int | tuple[int, int]:
    """``512``, or ``640x480``: a width and a height."""
    try:
        sides = [int(side) for side in text.split("x")]
    except ValueError:
        sides = []
    match sides:
        case [side]:
            return side
        case [width, height]:
            return width, height
    raise UsageError(f"`{option}`: {text!r} is neither an integer nor WIDTHxHEIGHT")


def numbers(option: str, text: str) -> list[float]:
    """``3,7``."""
    return [number(option, part) for part in text.split(",")]


def layers(option: str, text: str) -> list[str] | dict[str, float]:
    """``a,b`` or ``a=1,b=2``."""
    pairs = [part.strip().partition("=") for part in text.split(",")]
    if not any(equals for _, equals, _ in pairs):
        return [name for name, _, _ in pairs]
    if not all(equals for _, equals, _ in pairs):
        raise UsageError(f"`{option}`: give a weight to each layer, or to none")
    names = [name for name, _, _ in pairs]
    if len(set(names)) < len(names):
        raise UsageError(f"`{option}`: a layer is named twice")
    return {name: number(option, weight) for name, _, weight in pairs}


def loss_term(option: str, text: str) -> dict[str, Any]:
    """``NAME=WEIGHT:KEY=VALUE:...`` as a table of the job's `terms`."""
    head, *settings = text.split(":")
    name, weighted, weight = head.partition("=")
    label = f"{option}={name}"
    table: dict[str, Any] = {"name": name}
    if weighted:
        table["weight"] = number(label, weight)
    for key, value in key_values(label, settings).items():
        table[key] = layers(label, value) if key == "layers" else value
    return table


def loss_terms(option: str, text: str) -> list[dict[str, Any]]:
    """A list of one `loss_term`."""
    return [loss_term(option, text)]


def key_values(option: str, texts: list[str]) -> dict[str, Text]:
    """``KEY=VALUE`` of each; the model of what they belong to reads the values."""
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"`{option}`: {text!r} is not KEY=VALUE")
        pairs[key] = Text(value)
    return pairs


def number(option: str, text: str) -> float:
    """A floating-point number."""
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"`{option}`: {text!r} is not a number") from None
