"""Construction of a job from a preset, a job file and single options.

Later sources override earlier ones, in that order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import UsageError
from ..validation import complaint, described
from .model import Job, is_pair
from .options.names import option_named, under_current_names
from .options.option import Option
from .options.places import ChoiceKey, JobKey
from .options.table import OPTIONS
from .presets import DEFAULT_PRESET, FindPreset, built_in_preset
from .tables import CHOICES, Table, laid_over, regular


def build_job(
    options: Mapping[str, Any],
    file: Mapping[str, Any] | None = None,
    preset: str | None = None,
    find_preset: FindPreset = built_in_preset,
) -> Job:
    """Make the job of a `preset` (None: the default one), a job file's values and `options`.

    `file` may name its own `preset`; `find_preset` returns the preset of a name. An option that is
    None counts as not set. Raises UsageError for unknown names and values out of range, with the
    name of the option or the job's key.
    """
    values = {name: value for name, value in options.items() if value is not None}
    values = under_current_names(values)
    known = {name: option_named(name) for name in values}
    from_file = regular(file or {})
    base = starting_values(values, from_file, preset, find_preset)
    file_preset = from_file.pop("preset", None)
    if preset is None and file_preset is None and _is_complete(from_file):
        base = {}  # a printed or recorded job, perhaps older than a value of the default preset
    if preset is not None and from_file.keys() >= base.keys():
        raise UsageError("`preset` has no effect: the job file sets every value of a preset")
    table = laid_over(base, from_file)
    for option in sorted(known.values(), key=_position):
        option.place.put(table, values[option.name], option.name)
    try:
        job = Job.model_validate(table)
    except ValidationError as error:
        raise UsageError(_worded(error, table, known)) from None
    _mark_inherited(job, base, from_file, known)
    return job


def starting_values(
    options: Mapping[str, Any],
    file: Mapping[str, Any],
    preset: str | None,
    find_preset: FindPreset,
) -> Table:
    """Return the values of the preset that a job starts from. Raises UsageError as `build_job`."""
    file_preset = file.get("preset")
    if preset is not None and file_preset is not None:
        raise UsageError(
            f"`preset` has no effect: the job file names its own preset, {file_preset!r}"
        )
    name = next(name for name in (preset, file_preset, DEFAULT_PRESET) if name is not None)
    if not isinstance(name, str):
        raise UsageError(f"unknown preset {name!r}: a preset has a name")
    return find_preset(name).values(_is_texture(file, options))


def _position(option: Option) -> int:
    """Return the position in the table of options; options with a dot come last."""
    return list(OPTIONS).index(option.name) if option.name in OPTIONS else len(OPTIONS)


def _is_texture(file: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Return whether the job is a texture, which has no content image.

    It is one if the option `texture` is set, or if there is no content image and the size has two
    numbers.
    """
    if "texture" in values:
        for option in ("content", "styles"):
            if option in values:
                raise UsageError(
                    "`texture` names the style images: leave out the content image and the style "
                    "images beside it"
                )
        return True
    no_content = "content" not in values and file.get("content") is None
    return no_content and is_pair(values.get("size", file.get("size")))


def _is_complete(file: Mapping[str, Any]) -> bool:
    """Return whether a job file states all that has no default."""
    return all(key in file for key, field in Job.model_fields.items() if field.is_required())


def _mark_inherited(
    job: Job, preset: Mapping[str, Any], file: Mapping[str, Any], options: Mapping[str, Option]
) -> None:
    """Mark the preset's values, and values of the job file that are defaults, as not set.

    The record of a finished result spells out every default. Where an option that is set now
    removes the effect of such a value, as `init` may with the `seed`, the value is left out without
    an error, because the user did not choose it. For the options of choices, the defaults are known
    to the planner; see `Choice.inherited`.
    """
    places = {
        option.place for option in options.values() if isinstance(option.place, JobKey | ChoiceKey)
    }
    for key in preset.keys() - file.keys():
        if JobKey(key) not in places:
            job.model_fields_set.discard(key)
    if not options:
        return
    fields = Job.model_fields
    for key in file:
        if JobKey(key) not in places and getattr(job, key) == fields[key].default:
            job.model_fields_set.discard(key)
        if key in CHOICES:
            choice = getattr(job, key)
            for option in choice.options:
                if option in file[key] and ChoiceKey(key, option) not in places:
                    choice.model_fields_set.discard(option)


def _worded(error: ValidationError, table: Table, options: Mapping[str, Option]) -> str:
    """Return the message, with the name of the value's option, or else of the job's key."""
    location = error.errors()[0]["loc"]
    for name, option in reversed(list(options.items())):
        if option.place.holds(location, table):
            return f"`{name}` {complaint(error)}"
    match location:
        case ("terms", int(), "name"):
            return (
                'job: a loss term is a table with its name, such as {"name": "style", "weight": 2}'
            )
        case ("terms", int(number), str(key), *_):
            return f"job, loss term {table['terms'][number].get('name')}: {key} {complaint(error)}"
    return f"job: {described(error, ['preset', *Job.model_fields])}"
