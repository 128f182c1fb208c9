"""``--set KEY=VALUE,VALUE``: options of a job by name, each with one value or with several."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.errors import UsageError, did_you_mean
from ...core.job.options.names import option_named
from ...core.job.options.option import Option, is_choice_path
from ...core.job.options.table import OPTIONS
from ...core.job.paths import OptionModels

#: A plus between the parts of one value; 1e+3 is a number.
_PLUS = re.compile(r"(?<![\d.][eE])\+")


@dataclass(frozen=True)
class Setting:
    """Option of a job with the values that it takes in turn, each with its text."""

    key: str
    values: tuple[tuple[str, Any], ...]


def setting_named(key: str) -> str:
    """Return the name of an option, or ``preset``.

    The key may be spelled as in a flag: ``style-weight``. Raises UsageError for an unknown option.
    """
    name = key if "." in key else key.replace("-", "_")
    if name == "preset":
        return name
    try:
        return option_named(name).name
    except UsageError:
        known = ("preset", *OPTIONS)
        raise UsageError(f"there is no option {key!r}; {did_you_mean(name, known)}") from None


def read_settings(texts: Sequence[str], models: OptionModels) -> tuple[Setting, ...]:
    """Parse texts ``KEY=VALUE[,VALUE]...``.

    Within a value, ``+`` separates the parts where a flag of `run` would have a comma; in the path
    of a file it stays, which `models`, those of the options of choices, mark. Raises UsageError for
    a text that cannot be read.
    """
    settings: list[Setting] = []
    for text in texts:
        key, equals, values = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {text}: give it as KEY=VALUE or KEY=VALUE,VALUE")
        name = setting_named(key)
        if name in [setting.key for setting in settings]:
            raise UsageError(f"--set {key} is given twice: put its values into one, with commas")
        settings.append(_setting(name, values.split(","), models))
    return tuple(settings)


def fixed(settings: Sequence[Setting], options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings together with the `options`, which are given as flags.

    Raises UsageError for a setting with several values, or one that is also given as a flag.
    """
    options = options or {}
    for setting in settings:
        if len(setting.values) > 1:
            raise UsageError(f"--set {setting.key}: give one value; several are for stylectl sweep")
        check_given_once(setting, options)
    return {**options, **{setting.key: setting.values[0][1] for setting in settings}}


def check_given_once(setting: Setting, options: Mapping[str, Any]) -> None:
    """Raise UsageError for a setting that is also given as a flag."""
    if setting.key in options:
        raise UsageError(f"--set {setting.key} and `{setting.key}` are the same option; give one")


def _setting(name: str, texts: Sequence[str], models: OptionModels) -> Setting:
    if "" in texts:
        raise UsageError(f"--set {name}: a value is empty")
    if len(set(texts)) < len(texts):
        raise UsageError(f"--set {name}: a value is given twice")
    if name == "preset":
        return Setting(name, tuple(zip(texts, texts, strict=True)))
    option = option_named(name)
    has_parts = option.parts and not is_choice_path(option, models)
    values = [_value(option, text, has_parts) for text in texts]
    return Setting(name, tuple(zip(texts, values, strict=True)))


def _value(option: Option, text: str, has_parts: bool) -> Any:
    return option.read(option.name, _PLUS.sub(",", text) if has_parts else text)
