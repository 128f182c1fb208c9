"""A limit of memory, as a user gives it, to a program that itself takes some."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Program = Callable[..., subprocess.CompletedProcess[str]]

# Adam, whose steps small differences of the gradient do not turn: the picture can be compared.
JOB = (
    *("--size", "448", "--scales", "1", "--iterations", "1", "--device", "cpu"),
    *("--optimizer", "adam", "--content-layers", "relu2_1", "--style-layers", "relu1_1,relu2_1"),
    *("-o", "out.png"),
)


def pixels(folder: Path) -> np.ndarray:
    return np.asarray(Image.open(folder / "out.png").convert("RGB")).astype(int)


def test_a_picture_that_does_not_fit_is_cut_and_is_the_same(
    program: Program, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    assert program("run", *JOB, folder=tmp_path / "whole").returncode == 0
    refused = program("run", *JOB, "--max-memory", "1MB", folder=tmp_path)
    assert refused.returncode == 1
    held = re.search(r"holds (\d+) MB and the limit is --max-memory 1MB", refused.stderr)
    assert held, refused.stderr
    # The picture takes 200 MB more, as a whole.
    limit = f"{int(held[1]) + 130}MB"
    cut = program("run", *JOB, "--max-memory", limit, folder=tmp_path)
    assert cut.returncode == 0, cut.stderr
    assert re.search(r"computed in tiles, which fit the memory: \d+ of up to", cut.stderr)
    difference = np.abs(pixels(tmp_path) - pixels(tmp_path / "whole"))
    # Adam's first step goes by the signs of the gradient, which differ where it is nearly zero.
    assert np.mean(difference > 1) < 0.01
