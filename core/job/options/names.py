"""Names of options: also former ones, and those of the options of choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...deprecation import warn_deprecated
from ...errors import UsageError, did_you_mean
from .option import Option, dotted_option
from .table import OPTIONS

#: Former name of an option -> its name. They still work, with a warning, until version 0.3.
FORMER_NAMES = {"style_scale": "style_size"}


def option_named(name: str) -> Option:
    """Return the option of that name, or of that former name.

    ``optimizer.history`` is the key `history` of the job's `optimizer`, ``strotss.samples`` the key
    `samples` of the loss term `strotss`. Raises UsageError for a name that no option has.
    """
    table, dot, key = name.partition(".")
    if dot and table and key and "." not in key:
        return dotted_option(table, key)
    if name in FORMER_NAMES:
        warn_deprecated(f"`{name}`", f"write `{FORMER_NAMES[name]}`")
        name = FORMER_NAMES[name]
    if name not in OPTIONS:
        raise UsageError(f"there is no option {name!r}; {did_you_mean(name, OPTIONS)}")
    return OPTIONS[name]


def under_current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of options by the options' names, where the keys may be former names.

    Raises UsageError for an option that has a value under both names.
    """
    for former in values.keys() & FORMER_NAMES.keys():
        if FORMER_NAMES[former] in values:
            raise UsageError(
                f"`{former}` is the former name of `{FORMER_NAMES[former]}`; give one of them"
            )
    return {
        option_named(name).name if name in FORMER_NAMES else name: value
        for name, value in values.items()
    }
