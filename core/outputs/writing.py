"""Writing of output files: under a temporary name, checked, moved into place."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import OutputError, PluginError, StylectlError
from ..files import whole_file
from ..images.written import check_complete
from ..interfaces.events import Listener, Notice, ignore
from ..interfaces.result import Result, Snapshot
from ..interfaces.writer import WriteRequest
from ..shown import error_line
from .record import record_for
from .targets import Output


def write_outputs(
    result: Result,
    outputs: Sequence[Output],
    snapshots: Iterable[Snapshot] = (),
    listener: Listener = ignore,
    on_written: Callable[[Path], None] = ignore,
) -> None:
    """Write every output, call `on_written` for each, and raise the first failure at the end.

    An output that fails does not stop the others. If no output could be written, the result is
    rescued: it is saved in the system's folder for temporary files, and the error names the file.
    """
    first_failure: StylectlError | None = None
    written = 0
    for output in outputs:
        failure = write_output(result, output, snapshots, listener)
        first_failure = first_failure or failure
        if failure is None:
            written += 1
            on_written(output.path)
    if first_failure and not written and (path := _rescue(result, outputs, snapshots)):
        raise first_failure.reworded(f"{first_failure}; the result is rescued in {path}")
    if first_failure:
        raise first_failure


def write_output(
    result: Result,
    output: Output,
    snapshots: Iterable[Snapshot] = (),
    listener: Listener = ignore,
) -> StylectlError | None:
    """Write an output; return the failure, or None."""
    if result.alpha is not None and not output.spec.keeps_alpha:
        listener(Notice(f"{output.path}: {output.path.suffix} holds no transparency"))
    if result.job.color_profile == "keep" and not getattr(output.writer, "keeps_profile", False):
        listener(Notice(f"{output.path}: {output.path.suffix} is sRGB, without a profile"))
    try:
        _write(result, output, snapshots)
    except StylectlError as error:
        return error
    except OSError as error:
        return OutputError(f"{output.path}: cannot be written ({error.strerror or error})")
    except (Exception, SystemExit) as error:  # a plugin's writer may raise anything
        return PluginError(f"{output.path}: {output.label} failed: {error_line(error)}")
    return None


def _rescue(
    result: Result, outputs: Sequence[Output], snapshots: Iterable[Snapshot]
) -> Path | None:
    """Save the result in a temporary folder; return the file, or None if that fails as well.

    The file has the format of the first output that can be written there, or else is a bare array.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="stylectl-"))
    except OSError:
        return None
    for output in outputs:
        elsewhere = replace(output, path=folder / output.path.name)
        with suppress(Exception):  # a plugin's writer may raise anything
            _write(result, elsewhere, snapshots)
            return elsewhere.path
    array = folder / "result.npy"
    with suppress(OSError):
        with whole_file(array) as file:
            np.save(file, result.image)
        return array
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _write(result: Result, output: Output, snapshots: Iterable[Snapshot]) -> None:
    """Write an output, and check the new file before it replaces an old one."""
    record = record_for(result, output.path.parent)
    with whole_file(output.path) as file:
        output.writer.write(
            WriteRequest(result=result, snapshots=snapshots, path=file, record=record)
        )
        status = file.lstat() if file.exists() else None
        if status is None or not stat.S_ISREG(status.st_mode):
            raise PluginError(f"{output.path}: {output.label} wrote no file")
        if status.st_size == 0:
            raise PluginError(f"{output.path}: {output.label} wrote an empty file")
        try:
            check_complete(file)
        except OutputError as error:
            raise error.reworded(f"{output.path}: cannot be written ({error})") from None
