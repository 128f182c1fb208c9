"""Jobs from files: a file may come from elsewhere, so that it cannot do all that a user may."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from os import PathLike, fspath
from typing import Any

from ..errors import UsageError
from ..job.building import build_job, starting_values
from ..job.choices import JobPlugins
from ..job.model import DEFAULT_MAX_PIXELS, Job
from ..job.options.places import chosen
from ..job.paths import JobFile, OptionModels, option_paths
from ..job.tables import CHOICES, Table, laid_over, regular
from ..validation import validated
from .registry import Registry
from .requirements import check_installed


def make_job(
    options: Mapping[str, Any],
    registry: Registry,
    file: JobFile | None = None,
    preset: str | None = None,
    entry: JobFile | None = None,
) -> Job:
    """Make the job of a preset, a job file, an entry of the user's manifest, and `options`.

    Later ones override earlier ones; see `build_job`. The plugins that the files require are
    checked before anything is looked up. Only `options` and `entry` may raise the limit of pixels,
    and name paths of other machines and of devices. (`max_memory` is never more than what is free.)
    Raises UsageError and PluginError.
    """
    options = {name: value for name, value in options.items() if value is not None}
    models, sources = registry.option_models, [source for source in (file, entry) if source]
    for source in sources:
        if "video" in source.table:
            raise UsageError(
                f"{source.path}: the job of a video; make it with `stylectl video --job`"
            )
    check_installed(_required(sources), registry)
    preset_names = names = _preset_names(sources, options, preset, registry)
    table: Table = {}
    for source in sources:
        values = regular(source.here(models, names))
        names = names | {
            key: values[key]["name"] for key in CHOICES if "name" in values.get(key, {})
        }
        table = laid_over(table, values)
    job = build_job(options, table, preset, registry.presets.get)
    if file:
        named = {**(entry.table if entry else {}), **options}
        _check_limit(job, file, named)
        _check_paths(job, file.elsewhere(models, preset_names), named, models)
    return job


def _required(sources: Iterable[JobFile]) -> tuple[str, ...]:
    """Return the requirements that the last of the files with any states. Raises UsageError."""
    stated = [source.table["plugins"] for source in sources if "plugins" in source.table]
    if not stated:
        return ()
    if not isinstance(stated[-1], Mapping):
        raise UsageError("job: plugins should be a table, such as {require = [...]}")
    return validated(JobPlugins, stated[-1], "job: plugins").require


def _preset_names(
    sources: Iterable[JobFile], options: Mapping[str, Any], preset: str | None, registry: Registry
) -> dict[str, str]:
    """Return the names of the choices in the job's preset, which hold where a file has none."""
    table: Table = {}
    for source in sources:
        table = laid_over(table, regular(source.table))
    start = starting_values(options, table, preset, registry.presets.get)
    return {key: chosen(start, key)["name"] for key in CHOICES}


def _check_limit(job: Job, file: JobFile, named: Mapping[str, Any]) -> None:
    is_from_file = "max_pixels" in file.table and "max_pixels" not in named
    if is_from_file and job.max_pixels > DEFAULT_MAX_PIXELS:
        raise UsageError(
            f"the job file allows images of {job.max_pixels} pixels, more than the default of "
            f"{DEFAULT_MAX_PIXELS}; if you trust its images, allow them with "
            f"`max_pixels={job.max_pixels}`"
        )


def _check_paths(
    job: Job, elsewhere: Collection[str], named: Mapping[str, Any], models: OptionModels
) -> None:
    """Raise UsageError for a path `elsewhere` that the job has, unless the user named it."""
    texts = list(_texts(named))
    for path in (*job.input_paths, *option_paths(job, models)):
        if path in elsewhere and not any(path in text for text in texts):
            raise UsageError(
                f"the job file names {path}, which is on another machine or a device; to open it, "
                "name it yourself, outside of the job file"
            )


def _texts(value: object) -> Iterator[str]:
    """Yield all texts and paths in a value."""
    if isinstance(value, str | PathLike):
        yield str(fspath(value))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
