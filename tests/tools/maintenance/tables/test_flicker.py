from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import stylectl

Program = Callable[..., subprocess.CompletedProcess[str]]
EXAMPLES = Path(stylectl.__file__).parent / "examples"
IMAGES = (EXAMPLES / "photo.jpg", EXAMPLES / "painting.jpg", EXAMPLES / "painting.jpg")


def test_each_clip_has_a_row_and_all_have_a_mean(
    maintenance: Callable[[str], Program], tmp_path: Path
) -> None:
    options = ("--size", "96x64", "--frames", "2", "--iterations", "2", "--clips", "pan")
    done = maintenance("tables.flicker")(
        *IMAGES, *options, "--flows", "exact", "--folder", "made", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in done.stdout.splitlines()[2:]
    ]
    assert [row[:3] for row in rows] == [["pan", "exact", "100"], ["mean", "exact", "100"]]
    assert rows[0][3:] == rows[1][3:]
    assert 0 < float(rows[0][3]) < 1
    assert rows[0][4:6] == ["", ""]  # there are no frames at these distances
    assert float(rows[0][6]) > 0
    assert (tmp_path / "made" / "pan.png").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--size", "big"), "--size big: width and height of at least 64 px, such as 160x96"),
        (("--clips", "pann"), "unknown clip 'pann'; did you mean pan?"),
    ],
)
def test_a_wrong_option_is_one_line(
    maintenance: Callable[[str], Program], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    done = maintenance("tables.flicker")(*IMAGES, *options, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"stylectl: {message}"]
