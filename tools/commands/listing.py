"""Command `stylectl list`: the installed plugins, and their contributions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import UsageError
from ...core.shown import one_line
from ..console import shared_flags
from ..console.printing import print_json

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ...core.planning.registry import Registry
    from ...plugins.manager import PluginRecord, Plugins


#: Keys of rows that have no column: the options have lines of their own, the others are in `from`.
_IN_JSON_ONLY = ("options", "distribution", "version")


class Kind(StrEnum):
    """Kinds of things that can be listed."""

    PLUGINS = "plugins"
    BACKENDS = "backends"
    BACKBONES = "backbones"
    TERMS = "terms"
    WRITERS = "writers"
    OPTIMIZERS = "optimizers"
    INITIALIZERS = "initializers"
    PRESETS = "presets"
    CHECKPOINTS = "checkpoints"


def command(
    kind: Annotated[Kind | None, typer.Argument(help="Left out: all but the checkpoints.")] = None,
    layers: Annotated[
        str | None, typer.Option(metavar="BACKBONE[:MODEL]", help="The layers of a backbone.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Another folder of checkpoints.")
    ] = None,
    no_plugin: Annotated[list[str] | None, typer.Option(help="Leave a plugin out.")] = None,
    plugins_dir: shared_flags.PlainPluginsDir = None,
    as_json: shared_flags.PlainAsJson = False,
) -> None:
    """List plugins and their contributions, with options; or the checkpoints of unfinished runs.

    Contributions are backends, backbones, loss terms, writers, optimizers, initialisers, presets.
    """
    if kind is Kind.CHECKPOINTS:
        _show({kind.value: _checkpoints(checkpoint)}, as_json, hidden=("folder",))
        return
    if checkpoint is not None:
        raise UsageError("--checkpoint requires: stylectl list checkpoints")
    from ...plugins.manager import load_plugins

    plugins = load_plugins(no_plugin or [], folders=plugins_dir or [])
    if layers is not None:
        if kind is not Kind.BACKBONES:
            raise UsageError("--layers requires: stylectl list backbones")
        tables = {"layers": _layers(plugins.registry, layers)}
    else:
        kinds = [kind] if kind else [listed for listed in Kind if listed is not Kind.CHECKPOINTS]
        tables = {listed.value: _rows(plugins, listed) for listed in kinds}
    _show(tables, as_json)


def _show(
    tables: dict[str, list[dict[str, Any]]], as_json: bool, hidden: Sequence[str] = ("options",)
) -> None:
    """Print the tables; the columns `hidden` are in the JSON alone."""
    if as_json:
        print_json(tables)
    else:
        _print(tables, hidden)


def _checkpoints(folder: Path | None) -> list[dict[str, Any]]:
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
                "MB": round(stored.size / 1e6, 1),
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


def _layers(registry: Registry, chosen: str) -> list[dict[str, Any]]:
    from ...core.job.choices import Choice
    from ...core.planning.backbones import Backbones

    backbone, _ = Backbones(registry).get(Choice.model_validate(chosen))
    defaults = {"content": backbone.default_content_layers, "style": backbone.default_style_layers}
    return [
        {
            "name": info.name,
            "channels": info.channels,
            "stride": info.stride,
            "receptive field": info.receptive_field,
            "default for": ", ".join(
                f"{use} {weights[info.name]:.2g}"
                for use, weights in defaults.items()
                if info.name in weights
            ),
        }
        for info in backbone.layers
    ]


def _described(option: dict[str, Any]) -> str:
    words = [option["values"]]
    if option["required"]:
        words.append("required")
    elif option["default"] is not None:
        words.append(f"default {option['default']}")
    return ". ".join([", ".join(words), option["description"]]).removesuffix(". ")


def _print(tables: dict[str, list[dict[str, Any]]], hidden: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    console = Console(emoji=False)
    for title, rows in tables.items():
        columns = [key for key in rows[0] if key not in {*_IN_JSON_ONLY, *hidden}] if rows else []
        # A long name is folded, not cut, so that users can copy it.
        headers = [Column(key, overflow="fold") for key in columns]
        table = Table(*headers, title=title, title_justify="left", box=None, pad_edge=False)
        for row in rows:
            cells = [row[key] for key in columns]
            texts = [", ".join(cell) if isinstance(cell, list) else str(cell) for cell in cells]
            table.add_row(*(Text(one_line(text)) for text in texts))
            for option in row.get("options", []):
                name = Text(f"  {one_line(option['name'])}")
                table.add_row(name, Text(one_line(_described(option))))
        console.print(table, "")
