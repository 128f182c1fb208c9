"""Paths in records: relative to the result, and without a home folder that the result is not in."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stylectl.core.job.paths import recorded_path, without_tilde

pytestmark = pytest.mark.skipif(Path("/").anchor != "/", reason="POSIX paths")

HOME = Path("/home/me")


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: HOME)


@pytest.mark.parametrize(
    ("path", "folder", "expected"),
    [
        ("photo.jpg", "/home/me/work", "photo.jpg"),
        ("../in/photo.jpg", "/home/me/work", "../in/photo.jpg"),
        ("/home/me/photo.jpg", "/home/me/work/deep", "../../photo.jpg"),
        ("/data/photos/a.jpg", "/data/out", "../photos/a.jpg"),
        ("/data/photos/a.jpg", "/home/me/out", "../../../data/photos/a.jpg"),
        ("photo.jpg", "/data/out", "~/work/photo.jpg"),
        ("/home/me/a.jpg", "/mnt/stick", "~/a.jpg"),
        ("/home/other/pictures/a.jpg", "/home/me/work", "a.jpg"),
        ("/Users/other/a.jpg", "/data", "a.jpg"),
        ("/root/a.jpg", "/data", "a.jpg"),
        ("/home/me", "/data", "~/."),
        ("..", "/home/me/work", ".."),
        ("sample:photo", "/data", "sample:photo"),
    ],
)
def test_a_path_is_relative_and_names_no_home(path: str, folder: str, expected: str) -> None:
    assert recorded_path(path, HOME / "work", Path(folder)) == expected


names = st.sampled_from(["a", "b", "home", "me", "other", "Users", "root"])
folders = st.lists(names, max_size=4).map(lambda parts: Path("/", *parts))


@given(folders, folders)
def test_a_recorded_path_leads_to_the_file_or_is_its_name(folder: Path, place: Path) -> None:
    file = place / "photo.jpg"
    recorded = recorded_path(str(file), Path("/"), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "home", lambda: HOME)
        found = Path(folder, without_tilde(recorded))
    resolved = Path(*found.parts) if ".." not in found.parts else found.resolve()
    assert recorded == "photo.jpg" or resolved == file
    # Recording it again changes nothing.
    assert recorded_path(str(folder / without_tilde(recorded)), Path("/"), folder) == recorded
