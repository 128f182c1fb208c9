"""`stylectl cache`: files that stylectl keeps on disk for later runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import OutputError


def command(
    clear: Annotated[bool, typer.Option("--clear", help="Delete the whole cache folder.")] = False,
    clear_checkpoints: Annotated[
        bool,
        typer.Option("--clear-checkpoints", help="Delete the checkpoints, unless they are in use."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """List the files in the user's cache folder: downloaded weights, ONNX models, engines.

    Each of them can be made or downloaded again. The checkpoints of unfinished runs, which are in
    another folder, are counted too.
    """
    from ...core.checkpoints.folder import checkpoints_in
    from ...core.files import user_cache

    folder = user_cache()
    sizes = {entry.relative_to(folder).as_posix(): _bytes(entry) for entry in _entries(folder)}
    if clear:
        try:
            if folder.exists():
                shutil.rmtree(folder)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be deleted ({error.strerror})") from None
    checkpoints = checkpoints_in()
    folders = checkpoints.folders()
    kept = [one for one in folders if not (clear_checkpoints and checkpoints.remove(one))]
    if as_json:
        report = {
            "folder": str(folder),
            "bytes": sizes,
            "cleared": clear,
            "checkpoints": {path.name: _bytes(path) for path in kept},
        }
        typer.echo(json.dumps(report))
        return
    for name, size in sizes.items():
        typer.echo(f"{size / 1e6:9.1f} MB  {name}")
    total = sum(sizes.values()) / 1e6
    typer.echo(f"{total:9.1f} MB  {'deleted from' if clear else 'in'} {folder}")
    if folders:
        total = sum(_bytes(path) for path in kept) / 1e6
        deleted = f", {len(folders) - len(kept)} deleted" if clear_checkpoints else ""
        typer.echo(f"{total:9.1f} MB  in {checkpoints.folder}, checkpoints: {len(kept)}{deleted}")


def _entries(folder: Path) -> list[Path]:
    """Return the entries of the subfolders, one for each kind of file, in order."""
    return sorted(
        entry
        for kind in (folder / "weights", *sorted((folder / "onnx").glob("*")))
        if kind.is_dir()
        for entry in kind.iterdir()
    )


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
