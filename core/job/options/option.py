"""An option: its name, its place in a job, and the reader of its text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..paths import SAMPLES, OptionModels, map_choice, path_options
from ..tables import CHOICES, written_out
from . import text
from .places import AddedTerms, ChoiceKey, ChoiceName, Place, TermKey
from .text import Reader

if TYPE_CHECKING:
    from ..model import Job

Panel = Literal["The job", "The losses", "The optimization"]

#: Kinds of things that are chosen by name; help texts list the installed names of a kind.
Listed = Literal[
    "presets", "backends", "backbones", "terms", "inits", "optimizers", "parametrizations"
]


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
    - `lists`: see the type `Listed`.
    - `are_paths`: its values are paths of image files. Paths among the options of choices are
      marked in the models of these options: see `JobPath`.
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
    are_paths: bool = False


def relocated_value(
    option: Option, value: Any, change: Callable[[str], str], job: Job, models: OptionModels
) -> Any:
    """Return the option's value with `change` applied to the paths of files in it.

    `job` is the job that the option is set in; `models` has the models of its choices' options.
    """

    def changed(path: str) -> str:
        names_no_file = path in SAMPLES or (option.name == "style_mask" and path == "none")
        return path if names_no_file else change(path)

    def changed_option(key: str, name: str, option_name: str) -> Any:
        return map_choice(key, {option_name: value}, change, models, name)[option_name]

    match option.place:
        case ChoiceKey(choice, key):
            return changed_option(choice, getattr(job, choice).name, key)
        case TermKey(term, key):
            return changed_option("terms", term, key)
        case ChoiceName(choice) as place:
            return map_choice(choice, place.table_of(value), change, models)
        case AddedTerms():
            terms = value if isinstance(value, list) else [value]
            return [
                map_choice("terms", written_out(term, "name", option.name), change, models)
                for term in terms
            ]
    if not option.are_paths:
        return value
    return [changed(path) for path in value] if isinstance(value, list) else changed(value)


def is_choice_path(option: Option, models: OptionModels) -> bool:
    """Return whether it is an option of a choice that may be the path of a file."""
    match option.place:
        case ChoiceKey(choice, key):
            choices = [model for (kind, _), model in models.items() if kind == choice]
            return any(key in path_options(model) for model in choices)
        case TermKey(term, key):
            model = models.get(("terms", term))
            return model is not None and key in path_options(model)
    return False


def dotted_option(table: str, key: str) -> Option:
    """Return the option for the key `key` of a choice of the job, or of a loss term."""
    is_choice = table in CHOICES
    return Option(
        f"{table}.{key}",
        ChoiceKey(table, key) if is_choice else TermKey(table, key),
        "The optimization" if is_choice else "The losses",
        "",
        read=text.layers if key == "layers" else text.plain,
        parts=True,
    )
