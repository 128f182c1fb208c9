"""Checks of a writer: it writes complete files at the path that it gets, or raises an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import SkipTest

import numpy as np

from ...core.attribution import current_label
from ...core.errors import StylectlError
from ...core.interfaces.result import Result
from ...core.interfaces.specs import WriterSpec
from ...core.interfaces.writer import WriteRequest
from ...core.outputs.targets import Output, plan_outputs
from ...core.outputs.writing import write_outputs
from ...core.planning.registry import Registry
from .checks import Check, require, run_all
from .pictures import result, snapshots


def check_writer(
    spec: WriterSpec[Any],
    folder: Path,
    *,
    options: Mapping[str, Any] = {},
    read: Callable[[Path], np.ndarray] | None = None,
    tolerance: float = 0.5 / 255,
) -> None:
    """Run all of `writer_checks` in `folder`, which must be empty. Raises AssertionError."""
    run_all(writer_checks(spec, options=options, read=read, tolerance=tolerance), folder)


def writer_checks(
    spec: WriterSpec[Any],
    *,
    options: Mapping[str, Any] = {},
    read: Callable[[Path], np.ndarray] | None = None,
    tolerance: float = 0.5 / 255,
) -> list[Check]:
    """Return the checks of the writer that `spec` makes with `options`.

    - ``writes_every_result``: files of each of its suffixes, for opaque and transparent results,
      for a run that was interrupted before it had snapshots, for a result of one pixel. No other
      file remains, an existing file is replaced, and the result is not changed.
    - ``raises_where_it_cannot_write``: if it did not, the result would be lost.
    - ``image_is_read_back``, with `read`, from a file to an array (H, W, 3) in [0, 1]: the array is
      the result's image, within `tolerance`.
    """

    def write_all(folder: Path) -> None:
        for path in _paths(spec, folder):
            for finished in (
                result(),
                result(alpha=True),
                result(interrupted=True),
                result(1, 1),
                result(24, 33),
            ):
                _write(spec, options, finished, path)
                require(path.stat().st_size > 0, f"{path.name} is empty")
            names = sorted(file.name for file in folder.iterdir())
            require(
                names == [path.name], f"the folder has the files {names}, not {path.name} alone"
            )
            path.unlink()

    def fail(folder: Path) -> None:
        for path in _paths(spec, folder):
            _check_failure(spec, options, folder / "missing" / path.name)

    def read_back(folder: Path) -> None:
        if read is None:
            raise SkipTest("no function reads the file")
        for path in _paths(spec, folder):
            _write(spec, options, result(24, 33), path)
            _check_image(read(path), result(24, 33).image, tolerance)
            path.unlink()

    functions = {
        "writes_every_result": write_all,
        "raises_where_it_cannot_write": fail,
        "image_is_read_back": read_back,
    }
    subject = getattr(spec, "name", "writer")
    return [Check(subject, name, function) for name, function in functions.items()]


def _paths(spec: WriterSpec[Any], folder: Path) -> list[Path]:
    require(isinstance(spec, WriterSpec), f"not a WriterSpec: {spec!r}")
    return [folder / f"picture{suffix}" for suffix in spec.suffixes]


def _write(spec: WriterSpec[Any], options: Mapping[str, Any], finished: Result, path: Path) -> None:
    image = finished.image.copy()
    image.flags.writeable = False
    guarded = replace(finished, image=image)
    frames = [] if finished.interrupted else snapshots(finished)
    try:
        write_outputs(guarded, [_output(spec, options, path)], frames)
    except StylectlError as error:
        raise AssertionError(str(error)) from error


def _output(spec: WriterSpec[Any], options: Mapping[str, Any], path: Path) -> Output:
    registry = Registry()
    registry.writers.add(spec, current_label() or "the test")
    finished = result()
    writers = {spec.name: options} if options else {}
    (output,) = plan_outputs([path], finished.job, finished.image.shape[:2], registry, writers)
    return output


def _check_failure(spec: WriterSpec[Any], options: Mapping[str, Any], path: Path) -> None:
    writer = _output(spec, options, path.parent.parent / path.name).writer
    finished = result()
    record = {"job": finished.job.as_table(), **finished.summary()}
    try:
        writer.write(
            WriteRequest(result=finished, snapshots=snapshots(finished), path=path, record=record)
        )
    except Exception:  # any error passes the check
        return
    raise AssertionError("it raises nothing when its file cannot be written")


def _check_image(got: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    require(
        got.shape == expected.shape, f"read back, the image is {got.shape}, not {expected.shape}"
    )
    off = float(np.abs(got - expected).max())
    # A thousandth of a step for the conversions to and from integers.
    require(off <= tolerance + 1e-5, f"read back, the image is off by {off:.4f}")
