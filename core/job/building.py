"""From a preset, a job file and single options to a job. Later sources win, in that order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import UsageError
from ..validation import complaint, described
from .model import Job, is_pair
from .option import Option
from .options import OPTIONS, option_named
from .places import ChoiceKey, JobKey
from .presets import DEFAULT_PRESET, preset_table
from .tables import CHOICES, Table, laid_over, regular


def build_job(
    options: Mapping[str, Any], file: Mapping[str, Any] | None = None, preset: str | None = None
) -> Job:
    """The job of a `preset` (None: the default one), a job file's values and single `options`.

    `file` may name its own `preset`. An option that is None counts as not given. Raises UsageError
    for unknown names and values out of range, naming the option or the job's key.
    """
    given = {name: value for name, value in options.items() if value is not None}
    known = {name: option_named(name) for name in given}
    from_file = regular(file or {})
    named = from_file.pop("preset", None)
    if preset is not None and named is not None:
        raise UsageError(f"`preset` has no effect: the job file names its own preset, {named!r}")
    name = next(name for name in (preset, named, DEFAULT_PRESET) if name is not None)
    base = regular(preset_table(name, _is_texture(from_file, given)))
    if preset is not None and from_file.keys() >= base.keys():
        raise UsageError("`preset` has no effect: the job file sets all that a preset would")
    table = laid_over(base, from_file)
    for option in sorted(known.values(), key=_position):
        option.place.put(table, given[option.name], option.name)
    try:
        job = Job.model_validate(table)
    except ValidationError as error:
        raise UsageError(_worded(error, table, known)) from None
    if known:
        _mark_inherited(job, from_file, known)
    return job


def _position(option: Option) -> int:
    """In the order of the table; options with a dot last."""
    return list(OPTIONS).index(option.name) if option.name in OPTIONS else len(OPTIONS)


def _is_texture(file: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether there is no content image: the option `texture` says so, and so does a size of two
    numbers where there is none."""
    if "texture" in given:
        for option in ("content", "styles"):
            if option in given:
                raise UsageError(
                    "`texture` names the style images: leave out the content image and the style "
                    "images beside it"
                )
        return True
    no_content = "content" not in given and file.get("content") is None
    return no_content and is_pair(given.get("size", file.get("size")))


def _mark_inherited(job: Job, file: Mapping[str, Any], given: Mapping[str, Option]) -> None:
    """Count defaults that the file spells out as not set, as the file of a finished result spells
    out all of them. Where an option given now takes the effect of such a value away, as `init`
    does with the `seed`, it is left out without an error: nobody asked for it. For the options of
    choices the planner knows the defaults; see `Choice.inherited`."""
    places = {
        option.place for option in given.values() if isinstance(option.place, JobKey | ChoiceKey)
    }
    fields = Job.model_fields
    for key in file:
        if JobKey(key) not in places and getattr(job, key) == fields[key].default:
            job.model_fields_set.discard(key)
        if key in CHOICES:
            choice = getattr(job, key)
            for option in choice.options:
                if option in file[key] and ChoiceKey(key, option) not in places:
                    choice.model_fields_set.discard(option)


def _worded(error: ValidationError, table: Table, given: Mapping[str, Option]) -> str:
    """The message, under the name of the option that the value came from, else of the job's key."""
    where = error.errors()[0]["loc"]
    for name, option in reversed(list(given.items())):
        if option.place.holds(where, table):
            return f"`{name}` {complaint(error)}"
    match where:
        case ("terms", int(number), str(key), *_):
            return f"job, loss term {table['terms'][number].get('name')}: {key} {complaint(error)}"
    return f"job: {described(error, ['preset', *Job.model_fields])}"
