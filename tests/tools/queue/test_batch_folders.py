"""Batches of folders: their subfolders, what is left out, and the plan."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
from PIL import Image
from stylectl.core.images.files import SUFFIXES
from stylectl.core.interfaces.events import Notice
from stylectl.tools.cli import main

FLAGS = [
    *("--size", "24", "--iterations", "2", "--scales", "1", "--device", "cpu"),
    *("--style-layers", "relu1_1,relu2_1", "--content-layers", "relu2_1"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with photos in folders, and paintings."""
    monkeypatch.setenv("STYLECTL_PLUGINS", "")
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(5)
    for name in ("c/a", "c/sea/b", "c/sea/deep/c", "s/x", "s/old/y"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (24, 36, 3), dtype=np.uint8)).save(path)
    return tmp_path


def batch(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The command in this process: its exit code, stdout and stderr."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["stylectl", "batch", *arguments, *FLAGS])
        with pytest.raises(SystemExit) as left:
            main()
    printed = capsys.readouterr()
    return int(left.value.code or 0), printed.out, printed.err


FOLDERS = ["--contents", "c", "--styles", "s", "-o", "out"]


def painted() -> list[str]:
    return sorted(path.as_posix() for path in Path("out").glob("**/[!.]*.png"))


def test_subfolders_are_mirrored(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = batch(capsys, *FOLDERS, "--recursive")
    assert code == 0, err
    assert painted() == [
        "out/a_x.png",
        "out/old/a_y.png",
        "out/sea/b_x.png",
        "out/sea/deep/c_x.png",
        "out/sea/deep/old/c_y.png",
        "out/sea/old/b_y.png",
    ]
    code, out, _ = batch(capsys, *FOLDERS, "--recursive", "--json")
    assert code == 0
    assert len(json.loads(out)["found"]) == 6


def test_what_is_left_out_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c/notes.txt").touch()
    Path("c/.hidden.txt").touch()
    Path("s/raw.cr2").touch()
    code, _, err = batch(capsys, *FOLDERS)
    assert code == 0, err
    assert painted() == ["out/a_x.png"]
    (line,) = [line for line in err.splitlines() if "left out" in line]
    for name in ("c/notes.txt", "c/sea", "s/raw.cr2", "s/old"):
        assert name in line
    assert "hidden" not in line


def test_every_suffix_that_is_read_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    photo = Path("c/a.png").read_bytes()
    for suffix in SUFFIXES:
        Path(f"c/{suffix[1:]}{suffix.upper()}").write_bytes(photo)
    code, out, err = batch(capsys, *FOLDERS, "--dry-run")
    assert code == 0, err
    for suffix in SUFFIXES:
        assert f"out/{suffix[1:]}_x.png" in out


def test_a_dry_run_lists_the_states_and_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.rglob("*"))
    code, out, err = batch(capsys, *FOLDERS, "--dry-run")
    assert code == 0, err
    assert "new       out/a_x.png  c/a.png in the style of s/x.png" in out
    assert "1 results: 1 to paint, 0 finished" in out
    assert sorted(folder.rglob("*")) == before
    assert batch(capsys, *FOLDERS)[0] == 0
    _, out, _ = batch(capsys, *FOLDERS, "--dry-run", "--recursive", "--json")
    report = json.loads(out)
    states = {result["output"]: result["state"] for result in report["results"]}
    assert states["out/a_x.png"] == "finished"
    assert states["out/sea/b_x.png"] == "missing"
    assert report["left_out"] == []
    _, out, _ = batch(capsys, *FOLDERS, "--dry-run", "--seed", "3")
    assert "again     out/a_x.png" in out


def test_results_are_not_written_among_the_images(capsys: pytest.CaptureFixture[str]) -> None:
    inside = ["--contents", "c", "--styles", "s", "-o", "c/out"]
    code, _, err = batch(capsys, *inside, "--recursive")
    assert code == 2
    assert "inputs next" in err
    assert batch(capsys, *inside)[0] == 0


def test_a_link_in_a_circle_is_not_followed(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c/again").symlink_to(Path("c").resolve())
    code, out, err = batch(capsys, *FOLDERS, "--recursive", "--dry-run")
    assert code == 0, err
    assert "left out: c/again" in out
    assert "6 results" in out


def test_names_of_many_bytes_are_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("c", "s"):
        Path(f"{folder}/{'写' * 60}.png").write_bytes(Path("c/a.png").read_bytes())
    code, _, err = batch(capsys, *FOLDERS)
    assert code == 0, err
    assert len(painted()) == 4
    code, out, _ = batch(capsys, *FOLDERS, "--json")
    assert len(json.loads(out)["found"]) == 4


def test_the_job_file_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    assert batch(capsys, *FOLDERS)[0] == 0
    code, _, err = batch(capsys, *FOLDERS, "--job", "out/a_x.png")
    assert code == 2
    assert "would overwrite an input" in err


@pytest.mark.skipif(sys.platform == "win32", reason="flock is Unix's")
def test_a_share_without_locks_is_used_with_files_as_locks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import fcntl

    def flock(descriptor: object, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    notices: list[str] = []
    during: list[list[str]] = []

    def listen(event: Any) -> None:
        if isinstance(event, Notice):
            notices.append(event.message)
        locks = [path.name for path in Path("out").glob(".stylectl-*.exists")]
        if locks and locks not in during:
            during.append(locks)

    pictures = [
        {"content": "c/a.png", "styles": ["s/x.png"], "output": f"out/{name}.png"}
        for name in ("one", "two")
    ]
    options: dict[str, Any] = {"size": 24, "iterations": 2, "scales": 1, "device": "cpu"}
    report = stylectl.batch(pictures, on_event=listen, **options)
    assert report.exit_code == 0
    assert [name for name in notices if "without locks" in name] == notices[:1]
    assert during == [[".stylectl-one.png.exists"], [".stylectl-two.png.exists"]]
    assert list(Path("out").glob(".stylectl-*")) == []


# Manifests as Excel writes them


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_manifest_of_excel_is_read(
    separator: str, encoding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [["content", "style", "output"], ["c/a.png", "s/x.png", "größe.png"]]
    text = "\r\n".join(separator.join(line) for line in lines) + "\r\n"
    Path("list.csv").write_bytes(text.encode(encoding))
    code, out, err = batch(capsys, "--manifest", "list.csv", "-o", "out", "--dry-run", "--json")
    assert code == 0, err
    (result,) = json.loads(out)["results"]
    assert result["output"] == "out/größe.png"


def test_a_manifest_in_another_encoding_gets_advice(capsys: pytest.CaptureFixture[str]) -> None:
    Path("list.csv").write_bytes("content;style\nc/größe.png;s/x.png\n".encode("cp1252"))
    code, _, err = batch(capsys, "--manifest", "list.csv", "-o", "out")
    assert code == 2
    assert "CSV UTF-8" in err
