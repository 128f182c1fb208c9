"""From a preset, a job file and single options to a job.

The options are what the command line's flags and the arguments of `stylectl.run` are called. Each
has one place in the job; later sources win: preset, job file, options.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .errors import UsageError, did_you_mean
from .files import status_of
from .initial import INITIALIZERS
from .job import Job, choice_table, is_pair
from .presets import DEFAULT_PRESET, PRESETS, for_texture
from .validation import complaint, described

#: Option -> its place in the job: a key, or a table and a key in it.
_PLACES: dict[str, tuple[str, ...]] = {
    "content": ("content",),
    "content_mask": ("content_mask",),
    "color": ("color",),
    "size": ("size",),
    "upscale": ("upscale",),
    "scales": ("scales",),
    "iterations": ("iterations",),
    "strength": ("strength",),
    "preview": ("preview",),
    "seed": ("seed",),
    "seamless": ("seamless",),
    "max_pixels": ("max_pixels",),
    "max_memory": ("max_memory",),
    "backend": ("backend", "name"),
    "device": ("backend", "device"),
    "precision": ("backend", "precision"),
    "gradient": ("backend", "gradient"),
    "convolution": ("backend", "convolution"),
    "cuda_graph": ("backend", "cuda_graph"),
    "weights": ("backbone", "weights"),
    "preprocessing": ("backbone", "preprocessing"),
    "pooling": ("backbone", "pooling"),
    "padding": ("backbone", "padding"),
    "optimizer": ("optimizer", "name"),
    "normalize_gradients": ("normalize_gradients",),
}

#: Option -> the loss term and the key in it.
_TERM_PLACES: dict[str, tuple[str, str]] = {
    "content_weight": ("content", "weight"),
    "content_layers": ("content", "layers"),
    "style_weight": ("style", "weight"),
    "style_layers": ("style", "layers"),
    "tv_weight": ("tv", "weight"),
}

#: Option -> the key in each style's table.
_STYLE_PLACES = {"style_weights": "weight", "style_scale": "scale", "style_mask": "mask"}

OPTIONS = (
    *(*_PLACES, *_TERM_PLACES, *_STYLE_PLACES),
    *("styles", "texture", "regions", "backbone", "init", "term"),
)

_CHOICES = ("backend", "backbone", "init", "optimizer")


def build_job(
    options: Mapping[str, Any], file: Mapping[str, Any] | None = None, preset: str | None = None
) -> Job:
    """Raises UsageError for unknown names and values out of range, naming the option or key.

    `file` is a job file's content, which may name its own `preset`. An option that is None counts
    as not given.
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        check_option(name)
    table = _regular(file or {})
    named = table.pop("preset", None)
    if preset and named:
        raise UsageError(f"--preset has no effect: the job file names its own preset, {named!r}")
    base = _preset(preset or named or DEFAULT_PRESET, _is_texture(table, given))
    if preset and table.keys() >= base.keys():
        raise UsageError("--preset has no effect: the job file sets everything that a preset would")
    table = _merged(base, table)
    _apply(table, given)
    try:
        return Job.model_validate(table)
    except ValidationError as error:
        raise UsageError(_in_the_users_words(error, table, given)) from None


def check_option(name: str) -> None:
    """Raises UsageError for a name that no option has. ``optimizer.history`` is the key `history`
    of the job's `optimizer`, ``strotss.weight`` that of the loss term; what is behind the dot is
    validated with the rest of the job."""
    table, dot, key = name.partition(".")
    if dot and table and key and "." not in key:
        return
    if name not in OPTIONS:
        raise UsageError(f"unknown option {name!r}; {did_you_mean(name, OPTIONS)}")


def laid_over(base: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a job file over that of another, as a job file lies over its preset."""
    return _merged(_regular(base), _regular(table))


def _is_texture(file: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether the picture has no content image: `--texture` says so, and so does a size of two
    numbers where there is none."""
    if "texture" in given:
        for option in ("content", "styles"):
            if option in given:
                raise UsageError(
                    "--texture names the paintings: leave out the content image and the paintings "
                    "beside it"
                )
        return True
    no_content = "content" not in given and file.get("content") is None
    return no_content and is_pair(given.get("size", file.get("size")))


def _preset(name: object, texture: bool) -> dict[str, Any]:
    if not isinstance(name, str) or name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}; {did_you_mean(str(name), PRESETS)}")
    preset = copy.deepcopy(PRESETS[name])
    return _regular(for_texture(preset) if texture else preset)


def _regular(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with its short forms, a name or a path alone, written out."""
    regular = dict(table)
    for key in _CHOICES:
        if isinstance(regular.get(key), str):
            regular[key] = choice_table(regular[key])
        elif key in regular:
            regular[key] = _written_out(regular[key], "name", key)
    for key, short in (("terms", "name"), ("styles", "image")):
        if key in regular:
            if not isinstance(regular[key], list | tuple):
                raise UsageError(f"job: {key} should be a list of tables")
            regular[key] = [_written_out(each, short, key) for each in regular[key]]
    return regular


def _written_out(value: object, short: str, key: str) -> dict[str, Any]:
    if isinstance(value, str):
        return {short: value}
    if not isinstance(value, Mapping):
        raise UsageError(f"job: {key} should be a {short} or a table, got {value!r}")
    return dict(value)


def _merged(base: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """`table` over `base`. A choice of the same name keeps the base's other options; a list, such
    as the terms, is replaced as a whole."""
    merged = {**base, **table}
    for key in _CHOICES:
        if key in base and key in table:
            merged[key] = _merged_choice(base[key], table[key])
    return merged


def _merged_choice(base: dict[str, Any], choice: dict[str, Any]) -> dict[str, Any]:
    if choice.get("name", base.get("name")) == base.get("name"):
        return {**base, **choice}
    return choice


def _apply(table: dict[str, Any], given: Mapping[str, Any]) -> None:
    if "texture" in given:
        texture = given["texture"]
        paintings = [texture] if isinstance(texture, str | Path) else list(texture)
        table |= _regular({"styles": [str(each) for each in paintings]}) | {"content": None}
    if "styles" in given:
        table |= _regular({"styles": given["styles"]})
    for option, key in _STYLE_PLACES.items():
        if option in given:
            table["styles"] = _with_each(table, option, key, given[option])
    if "regions" in given:
        content, *maps = given["regions"]
        table["regions"] = {"content": content, "styles": maps}
    if "init" in given:
        table["init"] = _merged_choice(table["init"], _init(given["init"]))
    if "backbone" in given:
        base = table.get("backbone", {"name": Job.model_fields["backbone"].default.name})
        table["backbone"] = _merged_choice(base, choice_table(given["backbone"]))
    for option, place in _PLACES.items():
        if option not in given:
            continue
        if len(place) == 1:
            table[place[0]] = given[option]
        else:
            key, inner = place
            _set_inner(table, key, inner, given[option])
    for option, (term, key) in _TERM_PLACES.items():
        if option in given:
            _set_term(table["terms"], option, term, key, given[option])
    for added in given.get("term", ()):
        _add_term(table["terms"], added)
    for option, value in given.items():
        name, dot, key = option.partition(".")
        if dot and name in _CHOICES:
            _set_inner(table, name, key, value)
        elif dot:
            _add_term(table["terms"], {"name": name, key: value})


def _set_inner(table: dict[str, Any], key: str, inner: str, value: Any) -> None:
    """Set one option of a choice, such as the backend's device."""
    base = table[key] if key in table else {"name": Job.model_fields[key].default.name}
    table[key] = _merged_choice(base, {inner: value})


def _init(value: str) -> dict[str, str]:
    """A name, or else a file."""
    if value in INITIALIZERS and value != "file":
        return {"name": value}
    if Path(value).name == value and not Path(value).suffix and status_of(Path(value)) is None:
        known = [name for name in INITIALIZERS if name != "file"]
        raise UsageError(
            f"--init: {value!r} is neither a file nor a known start; {did_you_mean(value, known)}"
        )
    return {"name": "file", "path": value}


def _with_each(
    table: Mapping[str, Any], option: str, key: str, values: Sequence[Any] | float
) -> list[dict[str, Any]]:
    """The styles with one of the values each. A single scale is every style's; a mask that is
    called "none" is none."""
    styles = table.get("styles") or [{"image": Job.model_fields["styles"].default[0].image}]
    values = list(values) if isinstance(values, list | tuple) else [values]
    if option == "style_weights" and len(styles) == 1:
        raise UsageError("--style-weights has no effect with a single style image")
    if option == "style_scale" and len(values) == 1:
        values *= len(styles)
    if len(styles) != len(values):
        raise UsageError(f"{_flag(option)} has {len(values)} values for {len(styles)} style images")
    if option == "style_mask":
        values = [None if value == "none" else value for value in values]
    return [{**style, key: value} for style, value in zip(styles, values, strict=True)]


def _set_term(terms: list[dict[str, Any]], option: str, name: str, key: str, value: Any) -> None:
    for term in terms:
        if term.get("name") == name:
            term[key] = value
            if key == "layers" and term.get("weight") == 0:
                raise UsageError(f"{_flag(option)} has no effect: the term {name} has no weight")
            return
    if key != "weight":
        raise UsageError(f"{_flag(option)} has no effect: the job has no term {name}")
    terms.append({"name": name, key: value})


def _add_term(terms: list[dict[str, Any]], added: Any) -> None:
    """A new term, or other settings for one that the job has."""
    added = _written_out(added, "name", "terms")
    for term in terms:
        if term.get("name") == added.get("name"):
            term.update(added)
            return
    terms.append(added)


def _in_the_users_words(
    error: ValidationError, table: Mapping[str, Any], given: Mapping[str, Any]
) -> str:
    """The message, under the name of the flag if the value came from one, else of the job's key."""
    where = error.errors()[0]["loc"]
    for option, place in _PLACES.items():
        if option in given and where[: len(place)] == place:
            return f"{_flag(option)} {complaint(error)}"
    if len(where) > 2 and where[0] == "terms" and isinstance(where[1], int):
        name = table["terms"][where[1]].get("name")
        for option, (term, key) in _TERM_PLACES.items():
            if option in given and (name, where[2]) == (term, key):
                return f"{_flag(option)} {complaint(error)}"
        return f"job, loss term {name}: {where[2]} {complaint(error)}"
    if where == ("styles",) and "style_weights" in given:
        return f"--style-weights: {complaint(error)}"
    for option, key in _STYLE_PLACES.items():
        if option in given and where[:1] == ("styles",) and where[2:] == (key,):
            return f"{_flag(option)}: {complaint(error)}"
    return f"job: {described(error, ['preset', *Job.model_fields])}"


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")
