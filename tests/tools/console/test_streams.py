"""What a user sees when stdout or stderr cannot be written, or cannot show a character."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = [
    pytest.mark.subprocess,
    pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's"),
]

PROGRAM = [sys.executable, "-m", "stylectl"]
SMALL = [
    *("--size", "24", "--iterations", "2", "--scales", "1", "--device", "cpu"),
    *("--style-layers", "relu1_1,relu2_1", "--content-layers", "relu2_1"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(5)
    for name in ("photo", "painting"):
        Image.fromarray(random.integers(0, 256, (24, 36, 3), dtype=np.uint8)).save(
            tmp_path / f"{name}.png"
        )
    return tmp_path


@pytest.fixture
def full() -> Iterator[int]:
    """A file on a disk that is full."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def gone() -> Iterator[int]:
    """A pipe whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def run(
    folder: Path, environment: dict[str, str], *arguments: str, **streams: int
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=environment,
        text=True,
        timeout=300,
        check=False,
        stdout=streams.get("stdout", subprocess.PIPE),
        stderr=streams.get("stderr", subprocess.PIPE),
    )


@pytest.mark.parametrize("stderr", ["full", "gone"])
def test_progress_that_cannot_be_written_ends_no_batch(
    folder: Path,
    environment: dict[str, str],
    stderr: str,
    request: pytest.FixtureRequest,
) -> None:
    batch = ["batch", "--contents", ".", "--styles", "painting.png", "-o", "out", *SMALL]
    done = run(folder, environment, *batch, "--json", stderr=request.getfixturevalue(stderr))
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["painted"]) == 2
    for name in ("photo", "painting"):
        with Image.open(folder / "out" / f"{name}_painting.png") as image:
            image.load()


def test_a_full_stdout_is_one_line_and_the_files_stay(
    folder: Path, environment: dict[str, str], full: int
) -> None:
    paint = ["run", "photo.png", "painting.png", "-o", "out.png", *SMALL]
    done = run(folder, environment, *paint, "--json", stdout=full)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "stylectl: stdout: cannot be written (No space left on device)"
    assert "Traceback" not in done.stderr
    with Image.open(folder / "out.png") as image:
        image.load()


@pytest.mark.parametrize(
    "arguments", ["--help", "--version", "list", "list --json", "cache", "run --print-job"]
)
def test_every_command_ends_with_one_line_on_a_full_stdout(
    folder: Path, environment: dict[str, str], full: int, arguments: str
) -> None:
    done = run(folder, environment, *arguments.split(), stdout=full)
    assert done.returncode == 1
    assert done.stderr == "stylectl: stdout: cannot be written (No space left on device)\n"


def test_a_reader_that_leaves_is_no_mistake(
    folder: Path, environment: dict[str, str], gone: int
) -> None:
    done = run(folder, environment, "list", stdout=gone)
    assert (done.returncode, done.stderr) == (1, "")
    both = run(folder, environment, "list", stdout=gone, stderr=gone)
    assert both.returncode == 1


def test_closed_streams_leave_the_picture_whole(folder: Path, environment: dict[str, str]) -> None:
    paint = ["run", "photo.png", "painting.png", "-o", "out.png", *SMALL]
    command = " ".join([*PROGRAM, *paint, "<&-", ">&-", "2>&-"])
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment, timeout=300, check=False
    )
    assert done.returncode == 0
    with Image.open(folder / "out.png") as image:
        image.load()


TALKER = """
import os
from stylectl import IMAGE_LAYER, LossTerm, LossTermSpec, NoOptions, hooks

print("imported")
os.write(1, b"raw text\\n")
os.system("echo a child")


class Talker(LossTerm):
    layers = (IMAGE_LAYER,)
    reads = frozenset()

    def __init__(self, arguments):
        print("created")

    def bind(self, references):
        return lambda features: features[IMAGE_LAYER].square().mean()


@hooks.loss_terms
def terms():
    return [
        LossTermSpec(
            name="talker", summary="", layers_from="image", options=NoOptions, create=Talker
        )
    ]


@hooks.step
def step(event):
    print("step")
"""


@pytest.mark.parametrize("flag", ["--json", "--print-job"])
def test_what_a_plugin_prints_does_not_mix_with_data(
    folder: Path, environment: dict[str, str], flag: str
) -> None:
    (folder / "plugins").mkdir()
    (folder / "plugins" / "talker.py").write_text(TALKER)
    done = run(
        folder,
        environment,
        *("run", "photo.png", "painting.png", *SMALL, "--term", "talker", flag),
        *("--plugins-dir", "plugins"),
    )
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout) if flag == "--json" else tomllib.loads(done.stdout)
    assert data
    words = ["imported", "raw text", "a child"]
    words += ["created", "step"] if flag == "--json" else []
    for word in words:
        assert word in done.stderr


def test_an_ascii_locale_shows_escapes_and_gives_valid_files(
    folder: Path, environment: dict[str, str]
) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    plain = environment | ascii_only | {"PYTHONCOERCECLOCALE": "0"}
    photo = os.fsencode("写真ü.png")
    (folder / "photo.png").rename(folder / os.fsdecode(photo))
    painted = subprocess.run(
        [*PROGRAM, "run", photo, "painting.png", *SMALL],
        cwd=folder,
        env=plain,
        capture_output=True,
        check=False,
    )
    assert painted.returncode == 0, painted.stderr
    assert painted.stdout.startswith(b"wrote ")
    assert painted.stdout.isascii()
    (result,) = folder.glob("*_painting.png")
    assert os.fsencode(result.name) == os.fsencode("写真ü_painting.png")
    utf8 = environment | {"PYTHONUTF8": "1"}
    job = run(folder, utf8, "run", "写真ü.png", "painting.png", *SMALL, "--print-job")
    assert "写真ü.png" in job.stdout
    (folder / "job.toml").write_text(job.stdout, encoding="utf-8")
    again = run(
        folder, utf8 | {"PYTHONIOENCODING": "ascii"}, "run", "--job", "job.toml", "--print-job"
    )
    assert again.stdout.isascii()
    assert tomllib.loads(again.stdout) == tomllib.loads(job.stdout)


def test_control_characters_never_reach_the_terminal(
    folder: Path, environment: dict[str, str]
) -> None:
    photo = "pho\x1b]0;owned\x07to\x9b31m.png"
    (folder / "photo.png").rename(folder / photo)
    output = "o\x1b[2Jut\x7f.png"
    commands = [
        ["run", photo, "painting.png", "-o", output, *SMALL],
        ["show", output],
        ["show", output, "--json"],
        ["show", f"no{photo}"],
        ["run", "--weights", f"x{photo}"],
        ["run", f"--{photo}"],
        ["batch", "--contents", photo, "--styles", ".", "-o", "out", "--dry-run"],
    ]
    for arguments in commands:
        done = run(folder, environment, *arguments)
        shown = done.stdout + done.stderr
        assert shown
        assert all(character.isprintable() or character == "\n" for character in shown), shown


def test_messages_are_bounded(folder: Path, environment: dict[str, str]) -> None:
    done = run(folder, environment, "run", "--size", "9" * 100_000)
    assert done.returncode == 2
    assert len(done.stderr) < 5000


def test_a_deleted_current_folder_is_one_line(folder: Path, environment: dict[str, str]) -> None:
    script = f"mkdir gone; cd gone; rmdir ../gone; exec {' '.join(PROGRAM)} cache"
    done = subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == (
        "stylectl: the current folder does not exist any more; change to another\n"
    )
