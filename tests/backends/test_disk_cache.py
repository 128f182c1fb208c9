from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stylectl.backends.disk_cache import (
    LIMIT_VARIABLE,
    cache_limit,
    is_kept,
    kept_folder,
    trim,
)
from stylectl.core.errors import UsageError

HOUR = 3600


def fill(folder: Path) -> None:
    (folder / "model").write_bytes(b"x" * 1000)


def kept(parent: Path, key: str = "key") -> Path:
    with kept_folder(parent, key, fill) as folder:
        assert (folder / "model").read_bytes() == b"x" * 1000
        return folder


def entries(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir())


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    assert not is_kept(tmp_path, "key")
    first = kept(tmp_path)
    assert is_kept(tmp_path, "key")
    with kept_folder(tmp_path, "key", lambda _: pytest.fail("made again")) as folder:
        assert folder == first
    assert entries(tmp_path) == ["key"]


def test_a_damaged_folder_gets_a_successor_and_never_replaces_one(tmp_path: Path) -> None:
    first = used(tmp_path, "key", 2)
    (first / "model").write_bytes(b"damaged")
    second = kept(tmp_path)
    assert second != first
    assert entries(tmp_path) == [second.name]
    (second / "sha256").write_bytes(b"\xff\xfe no text")
    third = kept(tmp_path)
    assert kept(tmp_path) == third
    assert entries(tmp_path) == sorted([second.name, third.name])  # it may be in use


def test_there_is_no_moment_without_an_intact_folder(tmp_path: Path) -> None:
    """While one thread damages and mends the folder, all others find a whole one."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.is_set():
                kept(tmp_path)
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(20):
        folder = kept(tmp_path)
        with open(folder / "sha256", "w") as file:  # noqa: PTH123 - it may be gone
            file.write("wrong")
        time.sleep(0.002)
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    kept(tmp_path)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    import resource

    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_a_cut_file_is_not_kept(tmp_path: Path) -> None:
    def careless(folder: Path) -> None:
        descriptor = os.open(folder / "model", os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, b"x" * 1000)
        os.close(descriptor)

    with largest_file(500), pytest.raises(OSError, match="File too large"):
        kept_folder(tmp_path, "key", careless).__enter__()
    assert entries(tmp_path) == []


def used(parent: Path, key: str, hours_ago: float) -> Path:
    folder = kept(parent, key)
    then = time.time() - hours_ago * HOUR
    os.utime(folder, (then, then))
    return folder


def test_the_least_recently_used_are_deleted(tmp_path: Path) -> None:
    root = tmp_path / "onnx"
    old = used(root / "models", "old", 30)
    older = used(root / "optimized", "older", 40)
    recent = used(root / "models", "recent", 2)
    assert trim(root, 10_000) == []
    assert trim(root, 2_500) == [older]
    assert trim(root, 1_500) == [old]
    assert entries(root / "models") == [recent.name]
    assert entries(root / "optimized") == []


def test_use_counts_and_what_is_in_use_stays(tmp_path: Path) -> None:
    root = tmp_path / "onnx"
    used(root / "models", "a", 30)
    used(root / "models", "b", 20)
    kept(root / "models", "a")
    assert [folder.name for folder in trim(root, 0)] == ["b"]
    assert entries(root / "models") == ["a"]


def test_what_a_killed_process_left_is_deleted(tmp_path: Path) -> None:
    left = used(tmp_path / "models", ".new-abc", 2)
    new = used(tmp_path / "models", ".new-def", 0)
    assert trim(tmp_path, 10**9) == [left]
    assert new.exists()


def test_the_limit_is_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LIMIT_VARIABLE, raising=False)
    assert cache_limit() == 2 * 10**9
    for text, size in {"500MB": 500 * 10**6, "0": 0, "": 2 * 10**9}.items():
        monkeypatch.setenv(LIMIT_VARIABLE, text)
        assert cache_limit() == size
    monkeypatch.setenv(LIMIT_VARIABLE, "much")
    with pytest.raises(UsageError, match=LIMIT_VARIABLE):
        cache_limit()
