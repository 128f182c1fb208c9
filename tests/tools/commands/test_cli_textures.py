"""Textures and seamless pictures, as a user asks for them."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[..., subprocess.CompletedProcess[str]]

TEXTURE = ["--texture", "sample:painting", "--iterations", "2", "--device", "cpu"]


def test_a_texture_has_a_name_of_its_own_and_shows_its_job(
    program: Program, tmp_path: Path
) -> None:
    done = program("run", *TEXTURE, "--size", "64x48", "--seamless", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sample pair" not in done.stderr
    report = json.loads(done.stdout)
    assert report["outputs"] == ["painting_texture.png"]
    assert report["size"] == [64, 48]
    shown = program("show", "painting_texture.png", folder=tmp_path)
    job = tomllib.loads(shown.stdout)
    assert "content" not in job
    assert job["size"] == [64, 48]
    assert job["seamless"] is True
    again = program("run", "--job", "painting_texture.png", "--print-job", folder=tmp_path)
    assert tomllib.loads(again.stdout) == job


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", "64x"], ["--size", "WIDTHxHEIGHT"]),
        (["--size", "64x12"], ["--size 64x12 is too small", "64x16 would do"]),
        (["--init", "content"], ["cannot start from content"]),
        (["--content-weight", "1"], ["compares with a content image"]),
        (["--backbone", "alexnet", "--seamless"], ["alexnet does not wrap around"]),
        (["photo.jpg", "painting.jpg"], ["--texture names the style images"]),
    ],
)
def test_what_a_texture_cannot_have_is_wrong_usage(
    program: Program, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    done = program("run", *TEXTURE, *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
