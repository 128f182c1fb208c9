"""Flags shared by several commands, beside those of a job's options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import UsageError


def path_of(text: str) -> Path:
    """Return the path that a flag's text states.

    Raises UsageError for the empty text, which would be the current folder.
    """
    if not text:
        raise UsageError("a path is empty: name a file or a folder")
    return Path(text)


_JOB, _WORK, _OUT = "The job", "The optimization", "Output"

Photo = Annotated[str | None, typer.Argument(help="The content image.")]

Paintings = Annotated[
    list[str] | None, typer.Argument(metavar="PAINTING...", help="One or more style images.")
]

Preset = Annotated[
    str | None, typer.Option(help="Starting values of the job.", rich_help_panel=_JOB)
]

Job = Annotated[
    Path | None,
    typer.Option(
        parser=path_of,
        metavar="FILE",
        help="A job file: TOML, or a PNG or JSON that stylectl wrote. Flags override it.",
        rich_help_panel=_JOB,
    ),
]

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="An option by its name, such as size=1024, or a key of the backend, backbone, "
        "optimizer, start or a loss term, such as optimizer.history=20; may be given several "
        "times.",
        rich_help_panel=_JOB,
    ),
]

Axes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE[,VALUE]...",
        help="An option by its name, such as style_weight=3,30 or preset=draft. Several values "
        "make an axis of the sheet; one value holds for all cells. The parts of one value are "
        "separated by +. May be given several times.",
    ),
]

NoPlugin = Annotated[
    list[str] | None,
    typer.Option(
        help="Do not load this plugin; may be given several times.", rich_help_panel=_WORK
    ),
]

_PLUGINS_DIR_HELP = "A folder with plugins of one file, NAME.py; may be given several times."

PluginsDir = Annotated[
    list[Path] | None,
    typer.Option(parser=path_of, metavar="DIR", help=_PLUGINS_DIR_HELP, rich_help_panel=_WORK),
]

#: For commands without panels.
PlainPluginsDir = Annotated[
    list[Path] | None, typer.Option(parser=path_of, metavar="DIR", help=_PLUGINS_DIR_HELP)
]

AsJson = Annotated[
    bool,
    typer.Option("--json", help="End with one line of JSON on stdout.", rich_help_panel=_OUT),
]
