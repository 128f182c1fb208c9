"""`stylectl cache`: what stylectl keeps on disk to be faster."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import OutputError


def command(
    clear: Annotated[bool, typer.Option("--clear", help="Delete all of it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Show what is kept in the user's cache folder: downloaded weights, ONNX models, engines.

    Everything in it can be made, or downloaded, again.
    """
    from ...core.files import user_cache

    folder = user_cache()
    sizes = {each.relative_to(folder).as_posix(): _bytes(each) for each in _entries(folder)}
    if clear:
        try:
            if folder.exists():
                shutil.rmtree(folder)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be deleted ({error.strerror})") from None
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "bytes": sizes, "cleared": clear}))
        return
    for name, size in sizes.items():
        typer.echo(f"{size / 1e6:9.1f} MB  {name}")
    total = sum(sizes.values()) / 1e6
    typer.echo(f"{total:9.1f} MB  {'deleted from' if clear else 'in'} {folder}")


def _entries(folder: Path) -> list[Path]:
    """Kinds of things, and what there is of each."""
    return sorted(
        entry
        for kind in (folder / "weights", *sorted((folder / "onnx").glob("*")))
        if kind.is_dir()
        for entry in kind.iterdir()
    )


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
