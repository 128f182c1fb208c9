"""What a killed process leaves is removed; what a living one uses is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import Timeout
from stylectl.core.leftovers import (
    PRIVATE,
    held_lock,
    private_lock,
    remove_free_locks,
    remove_leftovers,
    temporary_folder,
)

#: A process that holds a temporary folder and a lock, until its input is closed.
HOLDER = """
import os, sys
from pathlib import Path
from stylectl.core.leftovers import PRIVATE, held_lock, private_lock, temporary_folder
with temporary_folder(Path(), PRIVATE) as folder, held_lock(private_lock(Path("out.png"))):
    (folder / "half").write_text("half")
    print("ready", flush=True)
    sys.stdin.read()
"""

pytestmark = pytest.mark.subprocess


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_process_holds_stays_until_it_is_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    before = names(tmp_path)
    assert len(before) == 2
    remove_leftovers(tmp_path, PRIVATE)
    remove_free_locks(tmp_path)
    assert names(tmp_path) == before
    with pytest.raises(Timeout), held_lock(private_lock(tmp_path / "out.png")):
        pass
    holder.kill()
    holder.communicate()
    assert names(tmp_path) == before
    with temporary_folder(tmp_path, PRIVATE) as folder:
        assert names(tmp_path) == sorted([".stylectl-out.png.lock", folder.name])
        assert folder.name not in before
    remove_free_locks(tmp_path)
    assert names(tmp_path) == []


def test_nothing_else_is_removed(tmp_path: Path) -> None:
    """Another host's folder, one without a lock, and files that only look like locks."""
    kept = [f"{PRIVATE}other.host-abc", f"{PRIVATE}abc", "stylectl-rescued"]
    for name in kept:
        (tmp_path / name).mkdir()
    (tmp_path / kept[0] / ".lock").touch()
    (tmp_path / "poetry.lock").touch()
    remove_leftovers(tmp_path, PRIVATE)
    remove_leftovers(tmp_path, "stylectl-")
    remove_free_locks(tmp_path)
    assert names(tmp_path) == sorted([*kept, "poetry.lock"])


def test_an_error_inside_of_a_temporary_folder_is_raised(tmp_path: Path) -> None:
    for error in (FileNotFoundError, Timeout):
        with pytest.raises(error), temporary_folder(tmp_path, PRIVATE):
            raise error("inside")
    assert names(tmp_path) == []


def test_a_folder_without_a_lock_is_removed_if_it_is_empty(tmp_path: Path) -> None:
    """Its process was killed before it made the lock, or after it had deleted that."""
    with temporary_folder(tmp_path, PRIVATE) as folder:
        name = folder.name
    (tmp_path / name).mkdir()
    remove_leftovers(tmp_path, PRIVATE)
    assert names(tmp_path) == []


def test_the_lock_is_the_last_file_of_a_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed while it deletes the folder leaves what the next one can remove."""
    locked = []

    def seen(remove: Callable[..., None], path: Path) -> None:
        locked.append((folder / ".lock").exists())
        remove(path)

    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path: seen(unlink, path))
    with temporary_folder(tmp_path, PRIVATE) as folder:
        (folder / "half").write_text("half")
        (folder / "folder").mkdir()
        (folder / "folder/quarter").write_text("quarter")
        (folder / "link").symlink_to(tmp_path)
    monkeypatch.undo()
    assert locked == [True, True]
    assert names(tmp_path) == []
