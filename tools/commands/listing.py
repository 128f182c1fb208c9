"""Command `stylectl list`: the installed plugins, and their contributions."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import UsageError, WeightsError
from ...core.shown import error_line, one_line
from ..console import shared_flags
from ..console.printing import print_json

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ...core.job.choices import Choice
    from ...core.planning.backbones import Backbones
    from ...core.planning.registry import Registry
    from ...plugins.manager import PluginRecord, Plugins


#: Keys of rows that have no column: the options have lines of their own, the others are in `from`.
_IN_JSON_ONLY = ("options", "distribution", "version", "folder")


class Kind(StrEnum):
    """Kinds of things that can be listed."""

    PLUGINS = "plugins"
    BACKENDS = "backends"
    BACKBONES = "backbones"
    TERMS = "terms"
    WRITERS = "writers"
    OPTIMIZERS = "optimizers"
    INITIALIZERS = "initializers"
    PARAMETRIZATIONS = "parametrizations"
    PRESETS = "presets"
    FLOWS = "flows"
    DEVICES = "devices"
    CHECKPOINTS = "checkpoints"


#: Kinds that are listed by name alone: they are no contributions of plugins. Devices are found by
#: loading every runtime.
_BY_NAME = (Kind.DEVICES, Kind.CHECKPOINTS)


def command(
    kind: Annotated[
        Kind | None, typer.Argument(help="Left out: all but devices and checkpoints.")
    ] = None,
    layers: Annotated[
        str | None, typer.Option(metavar="BACKBONE[:MODEL]", help="The layers of a backbone.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", parser=shared_flags.path_of, help="Another folder of checkpoints."
        ),
    ] = None,
    no_plugin: shared_flags.PlainNoPlugin = None,
    plugins_dir: shared_flags.PlainPluginsDir = None,
    as_json: shared_flags.PlainAsJson = False,
) -> None:
    """List plugins and their contributions, with options; or devices; or unfinished runs.

    Contributions are backends, backbones, loss terms, writers, optimizers, initialisers, presets,
    and optical flows.
    Devices are those of the backends on this machine; unfinished runs have checkpoints.
    """
    if kind is Kind.CHECKPOINTS:
        _show({kind.value: _checkpoints(checkpoint)}, as_json)
        return
    if checkpoint is not None:
        raise UsageError("--checkpoint requires: stylectl list checkpoints")
    from ...plugins.manager import load_plugins

    plugins = load_plugins(no_plugin or [], folders=plugins_dir or [])
    if layers is not None:
        if kind is not Kind.BACKBONES:
            raise UsageError("--layers requires: stylectl list backbones")
        tables = _layers(plugins.registry, layers)
    elif kind is Kind.DEVICES:
        tables = _devices(plugins.registry)
    else:
        kinds = [kind] if kind else [listed for listed in Kind if listed not in _BY_NAME]
        tables = {listed.value: _rows(plugins, listed) for listed in kinds}
    _show(tables, as_json)


def _show(tables: dict[str, list[dict[str, Any]]], as_json: bool) -> None:
    """Print the tables, some of whose columns are in the JSON alone."""
    if as_json:
        print_json(tables)
    else:
        _print(tables)


def _checkpoints(folder: Path | None) -> list[dict[str, Any]]:
    from ...backends.disk_cache import size_of
    from ...core.checkpoints.folder import checkpoints_in

    checkpoints = checkpoints_in(folder)
    rows: list[dict[str, Any]] = []
    for stored in checkpoints.stored():
        header = stored.header
        rows.append(
            {
                "output": ", ".join(header.request.outputs) or "(none)",
                "of": ", ".join(_images(header.job)),
                "steps": f"{header.steps} of {header.all_steps}",
                "MB": round(size_of(stored.folder) / 1e6, 1),
                "age": _age(time.time() - header.written),
                "state": "running" if checkpoints.in_use(stored.folder) else "stopped",
                "folder": str(stored.folder),
            }
        )
    for unreadable in checkpoints.unreadable():
        blank = dict.fromkeys(("of", "steps", "MB", "age"), "")
        row = {"output": unreadable.name, **blank, "state": "not readable by this version"}
        rows.append({**row, "folder": str(unreadable)})
    return rows


def _age(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} seconds"


def _images(job: dict[str, Any]) -> list[str]:
    """Return the paths of a job's content and style images."""
    content = [job["content"]] if "content" in job else []
    return content + [style["image"] for style in job.get("styles", [])]


def _rows(plugins: Plugins, kind: Kind) -> list[dict[str, Any]]:
    if kind is Kind.PLUGINS:
        return [
            {
                "name": record.name,
                "from": record.origin,
                "state": f"{record.state}: {record.reason}" if record.reason else record.state,
                "brings": _brings(plugins, record),
                "distribution": record.distribution,
                "version": record.version,
            }
            for record in plugins.records
        ]
    table = getattr(plugins.registry, kind.value)
    rows = []
    for spec in table:
        row = {"name": spec.name, "summary": spec.summary, "from": table.origin(spec.name)}
        if kind is Kind.WRITERS:
            row["suffixes"] = list(spec.suffixes)
        row["options"] = _options(spec.options)
        rows.append(row)
    return rows


def _devices(registry: Registry) -> dict[str, list[dict[str, Any]]]:
    """Return the devices of each backend that lists them, and those that cannot be used."""
    from ...core.attribution import attributed_to

    usable, unusable = [], []
    for spec in registry.backends:
        if spec.devices is None:
            continue
        with attributed_to(registry.backends.label(spec.name)):
            devices = [*spec.devices()]
        for device in devices:
            row = {"backend": spec.name, "device": device.name}
            if device.unusable:
                unusable.append({**row, "because": device.unusable})
                continue
            described = {"hardware": device.hardware, "runtime": device.runtime}
            usable.append({**row, **described, "precisions": [*device.precisions]})
    return {"devices": usable} | ({"not usable here": unusable} if unusable else {})


def _brings(plugins: Plugins, record: PluginRecord) -> list[str]:
    """Return what a plugin contributes in words, and the hooks by which it gets events."""
    from ...plugins.listening import HOOKS

    contributions = [
        f"{getattr(plugins.registry, table).kind} {spec.name}"
        for table, spec in record.contributions
    ]
    hooks = [f"hook {hook}" for hook in HOOKS if plugins.has_hook(record.name, hook)]
    return contributions + hooks


def _options(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Return name, default, range or choice, and description of each field of an options model.

    They are read from the model's JSON schema.
    """
    rows = []
    schema = model.model_json_schema()
    for name, field in schema.get("properties", {}).items():
        forms = [field, *field.get("anyOf", [])]
        choice = next((form["enum"] for form in forms if "enum" in form), None)
        kind = next((form["type"] for form in forms if "type" in form), "")
        bounds = [
            f"{sign} {field[key]}"
            for key, sign in (
                ("minimum", ">="),
                ("exclusiveMinimum", ">"),
                ("maximum", "<="),
                ("exclusiveMaximum", "<"),
            )
            if key in field
        ]
        rows.append(
            {
                "name": name,
                "default": field.get("default"),
                "required": name in schema.get("required", []),
                "values": " | ".join(map(str, choice)) if choice else " ".join([kind, *bounds]),
                "description": field.get("description", ""),
            }
        )
    return rows


def _layers(registry: Registry, chosen: str) -> dict[str, list[dict[str, Any]]]:
    """Return the layers of a backbone, and the values that cannot be layers, with the reasons."""
    from ...core.job.choices import Choice
    from ...core.planning.backbones import Backbones

    choice, backbones = Choice.model_validate(chosen), Backbones(registry)
    backbone, _ = backbones.get(choice)
    unusable = {**backbone.unusable, **_without_gradient(backbones, choice)}
    defaults = {"content": backbone.default_content_layers, "style": backbone.default_style_layers}
    rows = [
        {
            "name": info.name,
            "channels": info.channels,
            "stride": float(info.exact_stride) if info.exact_stride else info.stride,
            "receptive field": info.receptive_field,
            "default for": ", ".join(
                f"{use} {weights[info.name]:.2g}"
                for use, weights in defaults.items()
                if info.name in weights
            ),
        }
        for info in backbone.layers
        if info.name not in unusable
    ]
    reasons = [{"name": name, "because": reason} for name, reason in unusable.items()]
    return {"layers": rows} | ({"not usable as layers": reasons} if reasons else {})


def _without_gradient(backbones: Backbones, choice: Choice) -> dict[str, str]:
    """Return why layers of a backbone that is an ONNX file have no gradient, by their names.

    PyTorch cannot run such a file. Of other networks it returns nothing.
    """
    backbone, _ = backbones.get(choice)
    names = [info.name for info in backbone.layers]
    try:
        serialized = backbone.onnx_model(names)
    except WeightsError:  # of layers that cannot be extracted; a run says which
        return {}
    except UsageError:  # the preprocessing is not stated; the gradient does not depend on it
        if "preprocessing" in choice.options:
            raise
        plain = choice.model_validate({**choice.model_dump(), "preprocessing": "none"})
        return _without_gradient(backbones, plain)
    if serialized is None:
        return {}
    import onnx

    from ...backends.onnx_gradient import NoGradientError, layers_without_gradient

    try:
        return layers_without_gradient(onnx.ModelProto.FromString(serialized))
    except NoGradientError as error:
        return dict.fromkeys(names, str(error))
    except Exception as error:  # of a file with settings that do not fit each other
        raise WeightsError(f"{backbone.name}: refused: {error_line(error)}") from None


def _described(option: dict[str, Any]) -> str:
    words = [option["values"]]
    if option["required"]:
        words.append("required")
    elif option["default"] is not None:
        words.append(f"default {option['default']}")
    return ". ".join([", ".join(words), option["description"]]).removesuffix(". ")


def _print(tables: dict[str, list[dict[str, Any]]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    console = Console(emoji=False)
    for title, rows in tables.items():
        columns = [key for key in rows[0] if key not in _IN_JSON_ONLY] if rows else []
        # A long name is folded, not cut, so that users can copy it.
        headers = [Column(key, overflow="fold") for key in columns]
        table = Table(*headers, title=title, title_justify="left", box=None, pad_edge=False)
        for row in rows:
            table.add_row(*(Text(one_line(_cell(key, row[key]))) for key in columns))
            for option in row.get("options", []):
                name = Text(f"  {one_line(option['name'])}")
                table.add_row(name, Text(one_line(_described(option))))
        console.print(table, "")


def _cell(column: str, value: object) -> str:
    if value is None and column == "receptive field":
        return "the whole image"
    return ", ".join(value) if isinstance(value, list) else str(value)
