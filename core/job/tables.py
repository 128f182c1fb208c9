"""Tables of a job's plain values before validation: short forms written out, tables merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from os import PathLike, fspath
from typing import Any

from ..deprecation import warn_deprecated
from ..errors import UsageError

Table = dict[str, Any]

#: Most tables and lists within each other in the values of a job from a file.
_DEEPEST = 20
#: Largest size of a whole number in a job: more than any option takes, and 64 bits are enough.
_LARGEST = 2**63


def choice_table(text: str) -> dict[str, str]:
    """Return the table of a choice's short form, NAME or NAME:MODEL.

    ``torchvision:densenet121`` is the backbone `torchvision` with the option `model`.
    """
    name, colon, model = text.partition(":")
    return {"name": name, "model": model} if colon else {"name": name}


def init_table(text: str) -> dict[str, str]:
    """Return the table of a start's short form, a name or an image file.

    A file has a dot or a folder in its path, which no name has: ``photo.jpg``, ``./photo``.
    """
    if any(character in text for character in "./\\"):
        return {"name": "file", "path": text}
    return {"name": text}


#: Keys of the choices by name -> the function that reads the short form.
CHOICES: Mapping[str, Callable[[str], dict[str, str]]] = {
    "backend": choice_table,
    "backbone": choice_table,
    "init": init_table,
    "optimizer": choice_table,
    "parametrization": choice_table,
}


def regular(table: Mapping[str, Any]) -> Table:
    """Return the table with its short forms, a name or a path alone, written out.

    Raises UsageError for a value that is neither a short form nor a table.
    """
    regular_table = dict(table)
    for key, read in CHOICES.items():
        if isinstance(regular_table.get(key), str):
            regular_table[key] = read(regular_table[key])
        elif key in regular_table:
            regular_table[key] = written_out(regular_table[key], "name", key)
    for key, short in (("terms", "name"), ("styles", "image")):
        if key in regular_table:
            values = regular_table[key]
            if not isinstance(values, list | tuple):
                raise UsageError(f"job: {key} should be a list of tables")
            regular_table[key] = [written_out(value, short, key) for value in values]
    if "styles" in regular_table:
        regular_table["styles"] = [current_style(style) for style in regular_table["styles"]]
    return regular_table


def current_style(style: Mapping[str, Any]) -> Table:
    """Return a style's table with its key `size`, which was `scale` before version 0.2.

    Raises UsageError for a table that has both.
    """
    if "scale" not in style:
        return dict(style)
    if "size" in style:
        raise UsageError("job: a style has both size and scale, its former name: leave scale out")
    warn_deprecated("the key scale of a style", "write size")
    return {"size" if key == "scale" else key: value for key, value in style.items()}


def plain_copy(value: object) -> Any:
    """Return a deep copy of plain values: numbers, text, None, lists, and tables with text as keys.

    Raises TypeError for a value of another type.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [plain_copy(item) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: plain_copy(item) for key, item in value.items()}
    raise TypeError(f"{value!r} is not a plain value")


def written_out(value: object, short: str, key: str) -> Table:
    """Return a value as a table; a name or path alone becomes its entry `short`.

    Raises UsageError for a value of another type; `key` names it in the message.
    """
    if isinstance(value, PathLike):
        value = fspath(value)
    if isinstance(value, str):
        return {short: value}
    if not isinstance(value, Mapping):
        raise UsageError(f"job: {key} should be a {short} or a table, got {value!r}")
    return dict(value)


def laid_over(base: Mapping[str, Any], table: Mapping[str, Any]) -> Table:
    """Return `table` merged over `base`, both with their short forms written out.

    A choice of the same name keeps the base's other options; a list, such as the terms, is replaced
    as a whole.
    """
    merged = {**base, **table}
    for key in CHOICES:
        if key in base and key in table:
            merged[key] = merged_choice(base[key], table[key])
    return merged


def merged_choice(base: Table, choice: Table, common: Table | None = None) -> Table:
    """Return `choice` merged over the choice `base`.

    The options of `base` are kept if the name is the same; otherwise only those in `common` are.
    """
    if choice.get("name", base.get("name")) == base.get("name"):
        return {**base, **choice}
    return {**(common or {}), **choice}


def check_values(values: object, where: str = "", depth: int = 0) -> None:
    """Check that a file's values are not such that merely to handle them fails.

    Raises UsageError, with the key, for tables or lists that lie too deep within each other, for
    whole numbers of more than 64 bits, and for JSON's null in a list, which TOML cannot hold.
    """
    if depth > _DEEPEST:
        key = where.split("[")[0]
        raise UsageError(f"{key}: has more than {_DEEPEST} lists or tables within each other")
    if isinstance(values, Mapping):
        for key, value in values.items():
            check_values(value, f"{where}.{key}" if where else str(key), depth + 1)
    elif isinstance(values, list | tuple):
        for index, value in enumerate(values):
            if value is None:
                raise UsageError(f"{where}[{index}]: null is no value of a list")
            check_values(value, f"{where}[{index}]", depth + 1)
    elif isinstance(values, int) and not -_LARGEST <= values < _LARGEST:
        raise UsageError(f"{where}: a whole number of more than 64 bits")


def texts_in(values: object) -> Iterator[str]:
    """Iterate over all texts in a table's values, at any depth."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from texts_in(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from texts_in(value)
