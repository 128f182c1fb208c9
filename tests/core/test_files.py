from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stylectl.core.errors import UsageError
from stylectl.core.files import (
    check_is_no_input,
    check_output,
    read_file,
    shortened,
    text_of,
    whole_file,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Whole files


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes, as on a full disk."""
    import resource

    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def test_a_file_replaces_another_when_it_is_complete(folder: Path) -> None:
    Path("out").write_text("old")
    with whole_file(Path("out")) as file:
        file.write_text("new")
        assert Path("out").read_text() == "old"
    assert Path("out").read_text() == "new"
    assert names(folder) == ["out"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
@pytest.mark.parametrize("size", [1, 4096, 10_000])
def test_a_short_write_that_was_ignored_is_found(folder: Path, size: int) -> None:
    def write_carelessly() -> None:
        with whole_file(Path("out")) as file:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
            assert os.write(descriptor, bytes(20_000)) == size
            os.close(descriptor)

    Path("out").write_text("old")
    with largest_file(size), pytest.raises(OSError, match="File too large"):
        write_carelessly()
    assert Path("out").read_text() == "old"
    assert names(folder) == ["out"]


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097])
def test_a_file_keeps_its_length(folder: Path, size: int) -> None:
    with whole_file(Path("out")) as file:
        file.write_bytes(b"x" * size)
    assert Path("out").read_bytes() == b"x" * size


# Inputs and outputs


def test_an_input_is_recognised_through_links_of_both_kinds(folder: Path) -> None:
    Path("photo.png").write_text("photo")
    Path("soft.png").symlink_to("photo.png")
    Path("hard.png").hardlink_to("photo.png")
    for name in ("photo.png", "./photo.png", str(folder / "photo.png"), "soft.png", "hard.png"):
        with pytest.raises(UsageError, match="would overwrite an input"):
            check_is_no_input([Path("other.png"), Path(name)], [Path("x"), Path("photo.png")])
    check_is_no_input([Path("other.png")], [Path("photo.png"), Path("loop"), Path("a\0b")])


def test_an_input_that_is_not_there_yet_counts(folder: Path) -> None:
    with pytest.raises(UsageError, match="would overwrite an input"):
        check_is_no_input([Path("a/../new.png")], [Path("new.png")])


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of Unix")
def test_what_is_no_file_is_no_output(folder: Path) -> None:
    os.mkfifo("pipe.png")
    Path("loop.png").symlink_to("loop.png")
    Path("folder.png").mkdir()
    for name, words in {
        "pipe.png": "named pipe",
        "loop.png": "no file can have this name",
        "folder.png": "a folder",
        "a\0b.png": "no file can have this name",
        "x" * 300 + ".png": "File name too long",
        "/": "no file",
        "..": "a folder",
        "/dev/null": "a device",
    }.items():
        with pytest.raises(UsageError, match=words):
            check_output(Path(name))
    check_output(Path("new.png"))
    check_output(Path("nowhere/new.png"))


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of Unix")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pipe", "not a file, but a named pipe"),
        ("loop", "no such list"),
        ("folder", "not a file, but a folder"),
        ("/dev/zero", "not a file, but a device"),
        ("a\0b", "no such list"),
        ("x" * 300, "no such list"),
        ("large", "too large for a list"),
        (r"C:" + "\temp", "single quotes"),
    ],
)
def test_what_is_no_file_is_not_read(folder: Path, name: str, words: str) -> None:
    os.mkfifo("pipe")
    Path("loop").symlink_to("loop")
    Path("folder").mkdir()
    Path("large").write_bytes(bytes(11))
    with pytest.raises(UsageError, match=words):
        read_file(Path(name), 10, "list")


# Names and texts


@given(st.text(min_size=1, max_size=300).filter(lambda text: "\0" not in text and "/" not in text))
def test_a_shortened_name_fits_every_file_system(name: str) -> None:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return  # lone surrogates that stand for no byte
    short = shortened(name)
    assert len(os.fsencode(short)) <= 200
    assert short == name or len(os.fsencode(name)) > 200


def test_names_that_are_cut_stay_different() -> None:
    first, second = shortened("写" * 100 + "a"), shortened("写" * 100 + "b")
    assert first != second
    assert first.startswith("写" * 60)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_texts_of_windows_programs_are_read(encoding: str) -> None:
    assert text_of("größe = 1".encode(encoding)) == "größe = 1"
    assert text_of("größe".encode("utf-16-be").join([b"\xfe\xff", b""])) == "größe"
