"""A job's plain values before validation: short forms written out, one laid over another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike, fspath
from typing import Any

from ..errors import UsageError

Table = dict[str, Any]


def choice_table(text: str) -> dict[str, str]:
    """The short form of a choice, NAME or NAME:MODEL, written out: ``torchvision:densenet121`` is
    the backbone `torchvision` with the option `model`."""
    name, colon, model = text.partition(":")
    return {"name": name, "model": model} if colon else {"name": name}


def init_table(text: str) -> dict[str, str]:
    """The short form of a start, a name or an image file, written out. A file has a dot or a folder
    in its path, which no name has: ``photo.jpg``, ``./photo``."""
    if any(character in text for character in "./\\"):
        return {"name": "file", "path": text}
    return {"name": text}


#: The keys of things that are chosen by name, with the reader of each one's short form.
CHOICES: Mapping[str, Callable[[str], dict[str, str]]] = {
    "backend": choice_table,
    "backbone": choice_table,
    "init": init_table,
    "optimizer": choice_table,
}


def regular(table: Mapping[str, Any]) -> Table:
    """The table with its short forms, a name or a path alone, written out. Raises UsageError."""
    made = dict(table)
    for key, read in CHOICES.items():
        if isinstance(made.get(key), str):
            made[key] = read(made[key])
        elif key in made:
            made[key] = written_out(made[key], "name", key)
    for key, short in (("terms", "name"), ("styles", "image")):
        if key in made:
            if not isinstance(made[key], list | tuple):
                raise UsageError(f"job: {key} should be a list of tables")
            made[key] = [written_out(value, short, key) for value in made[key]]
    return made


def written_out(value: object, short: str, key: str) -> Table:
    """A table; a name or path alone becomes one with the key `short`. Raises UsageError."""
    if isinstance(value, PathLike):
        value = fspath(value)
    if isinstance(value, str):
        return {short: value}
    if not isinstance(value, Mapping):
        raise UsageError(f"job: {key} should be a {short} or a table, got {value!r}")
    return dict(value)


def laid_over(base: Mapping[str, Any], table: Mapping[str, Any]) -> Table:
    """`table` over `base`, both regular. A choice of the same name keeps the base's other options;
    a list, such as the terms, is replaced as a whole."""
    merged = {**base, **table}
    for key in CHOICES:
        if key in base and key in table:
            merged[key] = merged_choice(base[key], table[key])
    return merged


def merged_choice(base: Table, choice: Table, common: Table | None = None) -> Table:
    """A choice over another one, whose options are kept if the name is the same; else only
    `common` is."""
    if choice.get("name", base.get("name")) == base.get("name"):
        return {**base, **choice}
    return {**(common or {}), **choice}
