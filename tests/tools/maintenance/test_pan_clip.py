import subprocess
from collections.abc import Callable
from pathlib import Path

from PIL import Image

Program = Callable[..., subprocess.CompletedProcess[str]]


def test_the_camera_moves_over_the_photograph(
    maintenance: Callable[[str], Program], tmp_path: Path
) -> None:
    options = ("--size", "64x40", "--frames", "3")
    done = maintenance("pan_clip")("sample:photo", "made/pan", *options, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "made" / "pan").iterdir())
    assert [file.name for file in files] == ["00000.png", "00001.png", "00002.png"]
    images = [Image.open(file) for file in files]
    assert {image.size for image in images} == {(64, 40)}
    assert len({image.tobytes() for image in images}) == 3


def test_a_size_that_is_none_is_one_line(
    maintenance: Callable[[str], Program], tmp_path: Path
) -> None:
    done = maintenance("pan_clip")("sample:photo", "pan", "--size", "64", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "stylectl: --size 64: width and height in pixels, such as 256x160\n"
