from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile
from PIL import Image

Program = Callable[..., subprocess.CompletedProcess[str]]
SUFFIXES = ("png", "jpg", "webp", "tif", "npy", "json", "gif", "mp4", "html")


@pytest.fixture(scope="module")
def folder(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run that writes everything at once."""
    made = tmp_path_factory.mktemp("written")
    outputs = [word for suffix in SUFFIXES for word in ("-o", f"out.{suffix}")]
    settings = ["--writer", "png:bits=16", "--writer", "mp4:seconds=1:fps=5:hold=0.4"]
    finished = program("run", "--size", "64", "--iterations", "8", *outputs, *settings, folder=made)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == [
        word for suffix in SUFFIXES for word in ("wrote", f"out.{suffix}")
    ]
    return made


def test_every_file_is_there_and_no_other(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {f"out.{suffix}" for suffix in SUFFIXES}


def test_all_hold_the_same_picture(folder: Path) -> None:
    exact = np.load(folder / "out.npy")
    assert exact.shape == (43, 64, 3)
    assert np.abs(tifffile.imread(folder / "out.tif") / 65535 - exact).max() < 1 / 65535
    with Image.open(folder / "out.png") as image:  # of 16 bits, Pillow keeps the upper 8
        assert np.abs(np.asarray(image) / 255 - exact).max() < 1.01 / 255
    for suffix in ("jpg", "webp"):
        with Image.open(folder / f"out.{suffix}") as image:
            assert np.abs(np.asarray(image) / 255 - exact).mean() < 0.05


def test_the_films_show_the_way(folder: Path) -> None:
    with av.open(str(folder / "out.mp4")) as container:
        assert len(list(container.decode(video=0))) == 5 + 2
    with Image.open(folder / "out.gif") as image:
        assert image.size == (64, 43)
        assert getattr(image, "n_frames", 1) > 5


def test_the_numbers_are_those_of_the_run(folder: Path) -> None:
    found = json.loads((folder / "out.json").read_text())
    assert found["iterations"] == 8
    assert found["size"] == found["scales"][-1]["size"] == [64, 43]
    assert sum(scale["steps"] for scale in found["scales"]) == 8
    assert len(found["steps"]) == 8 + len(found["scales"])
    assert set(found["steps"][0]["losses"]) == set(found["final_loss"])


def test_the_job_comes_back_from_sixteen_bits(program: Program, folder: Path) -> None:
    shown = program("show", "out.png", folder=folder)
    assert shown.returncode == 0
    assert "size = 64" in shown.stdout
    again = program("run", "--job", "out.png", "-o", "again.npy", folder=folder)
    assert again.returncode == 0, again.stderr
    same = np.array_equal(np.load(folder / "again.npy"), np.load(folder / "out.npy"))
    (folder / "again.npy").unlink()
    assert same


def test_a_setting_that_no_output_needs_is_refused(program: Program, tmp_path: Path) -> None:
    finished = program("run", "-o", "a.tif", "--writer", "png:bits=16", folder=tmp_path)
    assert finished.returncode == 2
    assert "no effect" in finished.stderr
