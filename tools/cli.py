"""The `stylectl` program and its commands.

Each command imports its dependencies when it runs, so that help and usage errors do not import
torch.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import typer
import typer.core

from ..core.files import current_folder
from ..core.machine.malloc import keep_freed_memory
from .commands import (
    batch,
    bench,
    cache,
    export,
    judge,
    listing,
    parity,
    plugins,
    resume,
    run,
    show,
    sweep,
    video,
)
from .console.exit import interrupted, run_and_exit
from .console.options import JobCommand


class _Program(typer.core.TyperGroup):
    """The program's commands, which a signal stops with its own exit code.

    typer would turn any KeyboardInterrupt into 130.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run a command. See click.Group.invoke."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            return interrupted(stop)


app = typer.Typer(
    name="stylectl",
    cls=_Program,
    help="Paint a photograph in the style of a painting.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("run", cls=JobCommand)(run.command)
app.command("resume")(resume.command)
app.command("sweep", cls=JobCommand)(sweep.command)
app.command("batch", cls=JobCommand)(batch.command)
app.command("video", cls=JobCommand)(video.command)
app.command("judge")(judge.command)
app.command("show")(show.command)
app.command("list")(listing.command)
app.command("bench", cls=JobCommand)(bench.command)
app.command("export", cls=JobCommand)(export.command)
app.command("parity", cls=JobCommand)(parity.command)
app.command("cache")(cache.command)
app.add_typer(plugins.app, name="plugins")


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"stylectl {version('stylectl')}")
        raise typer.Exit


@app.callback()
def _program(
    _version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    current_folder()  # the paths of all commands are relative to it


def main() -> None:
    """Run the program and exit: 0 done, 1 failed, 2 wrong usage, 130 after Ctrl-C."""
    keep_freed_memory()
    run_and_exit(lambda: app(prog_name="stylectl", standalone_mode=False))
