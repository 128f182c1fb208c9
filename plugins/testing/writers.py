"""Checks of a writer: it writes complete files at the path that it gets, or raises an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import StylectlError
from ...core.interfaces.result import Result
from ...core.interfaces.specs import WriterSpec
from ...core.planning.registry import Registry
from ...core.run.outputs import Output, plan_outputs, write_outputs
from .pictures import result, snapshots
from .require import require


def check_writer(
    spec: WriterSpec,
    folder: Path,
    *,
    options: Mapping[str, Any] = {},
    read: Callable[[Path], np.ndarray] | None = None,
    tolerance: float = 0.5 / 255,
) -> None:
    """Check the writer that `spec` makes with `options`, in `folder`, which must be empty.

    - It writes files of each of its suffixes: for opaque and transparent results, for a run that
      was interrupted before it had snapshots, for a result of one pixel; no other file remains.
    - It does not change the result, and overwrites an existing file.
    - It raises an error where it cannot write: if it did not, the result would be lost.
    - With `read`, from a file to an array (H, W, 3) in [0, 1]: the array is the result's image,
      within `tolerance`.

    Raises AssertionError.
    """
    require(isinstance(spec, WriterSpec), f"not a WriterSpec: {spec!r}")
    require(len(spec.suffixes) > 0, "it has no suffixes")
    for suffix in spec.suffixes:
        path = folder / f"picture{suffix}"
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
        require(names == [path.name], f"the folder has the files {names}, not {path.name} alone")
        if read is not None:
            _check_image(read(path), result(24, 33).image, tolerance)
        path.unlink()
        _check_failure(spec, options, folder / "missing" / path.name)


def _write(spec: WriterSpec, options: Mapping[str, Any], finished: Result, path: Path) -> None:
    image = finished.image.copy()
    image.flags.writeable = False
    guarded = replace(finished, image=image)
    frames = [] if finished.interrupted else snapshots(finished)
    try:
        write_outputs(guarded, [_output(spec, options, path)], frames)
    except StylectlError as error:
        raise AssertionError(str(error)) from error


def _output(spec: WriterSpec, options: Mapping[str, Any], path: Path) -> Output:
    registry = Registry()
    registry.writers.add(spec, "the test")
    finished = result()
    writers = {spec.name: options} if options else {}
    (output,) = plan_outputs([path], finished.job, finished.image.shape[:2], registry, writers)
    return output


def _check_failure(spec: WriterSpec, options: Mapping[str, Any], path: Path) -> None:
    writer = _output(spec, options, path.parent.parent / path.name).writer
    finished = result()
    record = {"job": finished.job.as_table(), **finished.summary()}
    try:
        writer.write(finished, snapshots(finished), path, record)
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
