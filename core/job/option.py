"""An option: its name, its place in a job, and the reader of its text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from . import text
from .paths import SAMPLES, is_path
from .places import ChoiceKey, Place, TermKey
from .tables import CHOICES, init_table
from .text import Reader

Panel = Literal["The job", "The losses", "The optimization"]

#: Kinds of things that are chosen by name; help texts list the installed names of a kind.
Listed = Literal["presets", "backends", "backbones", "terms", "inits", "optimizers"]

#: Which values of an option are paths of files: all; those that look like a network's file; those
#: that are not the name of an initialiser.
Paths = Literal["all", "network", "start"]

_DOTTED_PATHS: dict[tuple[str, str], Paths] = {
    ("init", "path"): "all",
    ("backbone", "weights"): "network",
    ("backbone", "model"): "network",
}


@dataclass(frozen=True)
class Option:
    """An option of a job.

    - `name`: as in Python; the flag is ``--name`` with dashes, unless it `is_argument`.
    - `place`: the key of the job that it sets.
    - `read`: the reader of its text, as in ``--set`` and a manifest. `parts`: the text has parts,
      separated by commas.
    - `repeats`: the flag may be given several times; each value is read by `read_one`.
    - `is_switch`: the flag has no value. `count`: the number of values that the flag takes.
    - `see`: the section in docs/ that says more.
    - `lists`, `paths`: see the types `Listed` and `Paths`.
    """

    name: str
    place: Place
    panel: Panel
    help: str
    read: Reader = text.plain
    parts: bool = False
    metavar: str = "NAME"
    repeats: bool = False
    read_one: Reader = text.word
    is_switch: bool = False
    is_argument: bool = False
    count: int = 1
    see: str | None = None
    lists: Listed | None = None
    paths: Paths | None = None


def relocated_value(option: Option, value: Any, change: Callable[[str], str]) -> Any:
    """Return the option's value with `change` applied to the paths of files in it."""

    def changed(path: str) -> str:
        names_no_file = path in SAMPLES or (option.name == "style_mask" and path == "none")
        return path if names_no_file else change(path)

    match option.paths:
        case "all":
            return [changed(path) for path in value] if isinstance(value, list) else changed(value)
        case "network" if is_path(value, ""):
            name, colon, model = value.partition(":")
            return (
                f"{name}:{change(model)}" if colon and option.name == "backbone" else change(value)
            )
        case "start" if "path" in init_table(value):
            return change(value)
    return value


def dotted_option(table: str, key: str) -> Option:
    """Return the option for the key `key` of a choice of the job, or of a loss term."""
    is_choice = table in CHOICES
    return Option(
        f"{table}.{key}",
        ChoiceKey(table, key) if is_choice else TermKey(table, key),
        "The optimization" if is_choice else "The losses",
        "",
        read=text.layers if key == "layers" else text.plain,
        parts=(table, key) not in _DOTTED_PATHS,
        paths=_DOTTED_PATHS.get((table, key)),
    )
