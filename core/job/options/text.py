"""Readers of option values from text: flags, ``--set``, the cells of a manifest.

A reader gets the option's name, for messages, and the text. It raises UsageError for text that it
cannot read. Values that a plugin's option model validates stay `Text`, which the model converts by
the field's type.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ...errors import UsageError
from ...validation import Text

Reader = Callable[[str, str], Any]

#: Units of sizes in memory -> bytes.
_UNITS = {
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}

_CROP = "`{}`: {!r} is neither auto, none nor LEFT,TOP,RIGHT,BOTTOM in pixels"


def word(_option: str, text: str) -> str:
    """Return the text itself."""
    return text


def plain(_option: str, text: str) -> Text:
    """Return the text as `Text`, which the job's models convert by the field's type."""
    return Text(text)


def words(_option: str, text: str) -> list[str]:
    """Return the parts between commas, as in ``a,b``."""
    return text.split(",")


def size(option: str, text: str) -> int | tuple[int, int]:
    """Return the size that ``512`` or ``640x480`` states: a long side, or (width, height)."""
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
    """Return the numbers between commas, as in ``3,7``."""
    return [number(option, part) for part in text.split(",")]


def crops(option: str, text: str) -> list[str | list[int]]:
    """Return the words and groups of four integers between commas: ``auto``, ``9,0,9,0,none``."""
    values: list[str | list[int]] = []
    widths: list[int] = []
    for part in text.split(","):
        if part.strip() in ("auto", "none") and not widths:
            values.append(part.strip())
            continue
        try:
            widths.append(int(part))
        except ValueError:
            raise UsageError(_CROP.format(option, text)) from None
        if len(widths) == 4:
            values.append(widths)
            widths = []
    if widths:
        raise UsageError(_CROP.format(option, text))
    return values


def crop(option: str, text: str) -> str | list[int]:
    """Return ``auto``, ``none``, or the four integers of ``LEFT,TOP,RIGHT,BOTTOM``."""
    values = crops(option, text)
    if len(values) > 1:
        raise UsageError(_CROP.format(option, text))
    return values[0]


def layers(option: str, text: str) -> list[str] | dict[str, float]:
    """Return the layers of ``a,b``, or the weights by layer of ``a=1,b=2``."""
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
    """Return ``NAME=WEIGHT:KEY=VALUE:...`` as a table of the job's `terms`."""
    head, *settings = text.split(":")
    name, equals, weight = head.partition("=")
    label = f"{option}={name}"
    table: dict[str, Any] = {"name": name}
    if equals:
        table["weight"] = number(label, weight)
    for key, value in key_values(label, settings).items():
        table[key] = layers(label, value) if key == "layers" else value
    return table


def loss_terms(option: str, text: str) -> list[dict[str, Any]]:
    """Return a list of one `loss_term`."""
    return [loss_term(option, text)]


def key_values(option: str, texts: list[str]) -> dict[str, Text]:
    """Return the values by key of texts ``KEY=VALUE``; option models convert the values."""
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"`{option}`: {text!r} is not KEY=VALUE")
        pairs[key] = Text(value)
    return pairs


def number(option: str, text: str) -> float:
    """Return the floating-point number that the text states."""
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"`{option}`: {text!r} is not a number") from None


def bytes_of(text: str) -> int:
    """Return the bytes of a size: ``4GB`` is 4 * 10^9, ``1.5 GiB`` is 1.5 * 2^30.

    Raises ValueError for text that is not a size, and for a size of zero.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]I?B)", text.strip().upper())
    size = round(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size == 0:
        raise ValueError("should be a size such as 4GB or 800MB")
    return size


def seconds_of(option: str, text: str) -> float:
    """Return the seconds of a time such as ``90s``, ``10m`` or ``1h``; seconds without a unit.

    Raises UsageError for other text.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if match is None:
        raise UsageError(f"`{option}`: {text!r} is not a time such as 90s, 10m or 1h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
