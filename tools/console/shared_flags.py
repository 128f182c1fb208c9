"""Flags shared by several commands, beside those of a job's options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import UsageError
from .printing import keep_stdout_for_data


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

Checkpoint = Annotated[
    Path | None,
    typer.Option(
        parser=path_of,
        metavar="DIR",
        help="Folder for checkpoints. Default: one in the user's own folder for unfinished work.",
        rich_help_panel=_OUT,
    ),
]

NoCheckpoint = Annotated[
    bool,
    typer.Option(
        "--no-checkpoint",
        help="Keep no checkpoint: the run cannot be resumed.",
        rich_help_panel=_OUT,
    ),
]

CheckpointEvery = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Time between two checkpoints, such as 90s or 10m. Default: 60s.",
        rich_help_panel=_OUT,
    ),
]

AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        callback=keep_stdout_for_data,
        help="End with one line of JSON on stdout.",
        rich_help_panel=_OUT,
    ),
]

#: For commands without panels.
PlainNoPlugin = Annotated[list[str] | None, typer.Option(help="Leave a plugin out.")]
PlainAsJson = Annotated[
    bool, typer.Option("--json", callback=keep_stdout_for_data, help="Print one line of JSON.")
]


def checkpoint_choice(checkpoint: Path | None, no_checkpoint: bool) -> Path | bool:
    """Return the folder for checkpoints, True for the user's own, or False for none.

    Raises UsageError if both flags are given.
    """
    if checkpoint and no_checkpoint:
        raise UsageError("--checkpoint has no effect with --no-checkpoint; give one of them")
    return checkpoint or not no_checkpoint
