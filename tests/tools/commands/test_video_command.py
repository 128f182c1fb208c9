from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ..conftest import Program

FRAMES = ["--size", "64", "--iterations", "4", "--style-layers", "relu1_1,relu2_1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three numbered frames of a moving texture, and a painting."""
    texture = np.random.default_rng(1).integers(0, 256, (12, 20, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(texture).resize((80, 48), Image.Resampling.BICUBIC))
    (tmp_path / "clip").mkdir()
    for number in range(3):
        frame = smooth[:, 2 * number : 2 * number + 64]
        Image.fromarray(frame).save(tmp_path / "clip" / f"{number:03}.png")
    Image.fromarray(smooth[:, ::-1]).save(tmp_path / "painting.png")
    return tmp_path


def test_the_command_makes_a_video_with_its_job(program: Program, folder: Path) -> None:
    command = ["video", "clip", "painting.png", "-o", "out.mp4", *FRAMES]
    done = program(*command, "--set", "optimizer.history=5", "--flow", "dis:preset=fast", "--json",
                   folder=folder)  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["frames"], summary["size"]) == (3, [64, 48])
    shown = program("show", "out.mp4", folder=folder)
    job = tomllib.loads(shown.stdout)
    assert job["optimizer"]["history"] == 5
    assert job["video"]["flow"] == {"name": "dis", "preset": "fast"}
    assert job["content"] == "clip"


def test_numbered_images_have_their_work_beside_their_folder(
    program: Program, folder: Path
) -> None:
    done = program("video", "clip", "painting.png", "-o", "new/%02d.png", *FRAMES, folder=folder)
    assert done.returncode == 0, done.stderr
    assert sorted(file.name for file in (folder / "new").iterdir()) == [
        "01.png", "02.png", "03.png",
    ]  # fmt: skip
    assert (folder / "new.work").is_dir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mp4", "painting.png"], "none.mp4: no such clip"),
        (["painting.png", "painting.png"], "painting.png: one image, and no clip"),
        (["clip"], "a clip needs a style image"),
        ([], "name the clip: stylectl video CLIP PAINTING"),
        (["clip", "painting.png", "--every", "0"], "every"),
        (["clip", "painting.png", "--flow", "dis:preset=best"], "preset should be"),
        (["clip", "painting.png", "-o", "out.xyz"], "no clip has the suffix .xyz"),
    ],
    ids=str,
)
def test_wrong_usage_is_one_line(
    program: Program, folder: Path, arguments: list[str], message: str
) -> None:
    done = program("video", *arguments, folder=folder)
    assert done.returncode in (1, 2)
    (line,) = done.stderr.splitlines()[-1:]
    assert message in line
    assert "Traceback" not in done.stderr
