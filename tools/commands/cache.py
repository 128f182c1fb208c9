"""`stylectl cache`: files that stylectl keeps on disk for later runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import OutputError, UsageError
from ..console import shared_flags
from ..console.printing import print_json, print_line


def command(
    clear: Annotated[bool, typer.Option("--clear", help="Delete the whole cache folder.")] = False,
    clear_checkpoints: Annotated[
        bool,
        typer.Option("--clear-checkpoints", help="Delete the checkpoints, unless they are in use."),
    ] = False,
    cache_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Delete the least recently used ONNX models and engines, until all of them take "
            "at most SIZE, such as 500MB.",
        ),
    ] = None,
    as_json: shared_flags.PlainAsJson = False,
) -> None:
    """List the files in the user's cache folder: downloaded weights, ONNX models, engines.

    Each of them can be made or downloaded again. STYLECTL_CACHE_SIZE is the size that each run
    keeps to for ONNX models and engines (2GB). The checkpoints of unfinished runs, which are in
    another folder, are counted too.
    """
    from ...backends.disk_cache import size_of, trim
    from ...core.checkpoints.folder import checkpoints_in
    from ...core.files import user_cache

    if clear and cache_size is not None:
        raise UsageError("--cache-size has no effect with --clear")
    folder = user_cache()
    deleted = [] if cache_size is None else trim(folder / "onnx", _bytes(cache_size))
    sizes = {entry.relative_to(folder).as_posix(): size_of(entry) for entry in _entries(folder)}
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
        print_json(
            {
                "folder": str(folder),
                "bytes": sizes,
                "cleared": clear,
                "deleted": [entry.relative_to(folder).as_posix() for entry in deleted],
                "checkpoints": {path.name: size_of(path) for path in kept},
            }
        )
        return
    for name, size in sizes.items():
        print_line(f"{size / 1e6:9.1f} MB  {name}")
    total = sum(sizes.values()) / 1e6
    print_line(f"{total:9.1f} MB  {'deleted from' if clear else 'in'} {folder}")
    if cache_size is not None:
        print_line(f"{len(deleted)} deleted; those used within the last hour are kept")
    if folders:
        total = sum(map(size_of, kept)) / 1e6
        cleared = f", {len(folders) - len(kept)} deleted" if clear_checkpoints else ""
        print_line(f"{total:9.1f} MB  in {checkpoints.folder}, checkpoints: {len(kept)}{cleared}")


def _bytes(text: str) -> int:
    from ...core.job.options.text import bytes_of

    try:
        return 0 if text == "0" else bytes_of(text)
    except ValueError as error:
        raise UsageError(f"--cache-size {text!r} {error}") from None


def _entries(folder: Path) -> list[Path]:
    """Return the entries of the subfolders, one for each kind of file, in order."""
    return sorted(
        entry
        for kind in (folder / "weights", *sorted((folder / "onnx").glob("*")))
        if kind.is_dir()
        for entry in kind.iterdir()
    )
