"""What a user has installed and kept changes no test; see `conftest.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

TESTS = Path(__file__).parent

#: With plugins of their own, and without; in processes of their own, and when tests are collected.
SAMPLE = (
    "plugins/test_manager.py",
    "plugins/test_bad_plugins.py::"
    "test_the_command_line_says_it_in_one_line_and_shows_the_traceback_when_asked",
    "core/planning/test_preview.py::test_a_preview_keeps_everything_but_what_makes_it_small",
    "tools/commands/test_cache.py",
)


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    """A file that the user's plugin makes when it is imported."""
    return tmp_path / "seen"


@pytest.fixture
def users(tmp_path: Path, seen: Path) -> dict[str, str]:
    """The environment of a user with a broken plugin, settings, and folders that are none."""
    site = tmp_path / "site"
    info = site / "stylectl_broken-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "broken.py").write_text(f"open({str(seen)!r}, 'w').close()\nraise RuntimeError\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stylectl-broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stylectl]\nbroken = broken\n")
    (tmp_path / "file").touch()
    folders = {
        f"XDG_{kind}_HOME": str(tmp_path / "file") for kind in ("CACHE", "CONFIG", "DATA", "STATE")
    }
    paths = [str(site), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | folders | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    del environment["STYLECTL_PLUGINS"]
    return environment | {"STYLECTL_TRACE_PLUGINS": "1", "HOME": str(tmp_path / "file")}


@pytest.mark.subprocess
@pytest.mark.slow
def test_a_broken_plugin_of_the_user_changes_nothing(users: dict[str, str], seen: Path) -> None:
    stylectl = [sys.executable, "-m", "stylectl", "list", "plugins", "--json"]
    listed = subprocess.run(stylectl, env=users, capture_output=True, check=True).stdout
    states = {plugin["name"]: plugin["state"] for plugin in json.loads(listed)["plugins"]}
    assert states["broken"].startswith("broken")
    seen.unlink()  # without the isolation, it is seen
    users["STYLECTL_PLUGINS"] = "nothing"
    paths = [str(TESTS / path) for path in SAMPLE]
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths]
    done = subprocess.run(tests, env=users, cwd=TESTS.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert not seen.exists()


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_state_and_configuration_of_its_own(turn: int) -> None:
    for path in (
        platformdirs.user_state_path("stylectl", ensure_exists=True),
        platformdirs.user_config_path("stylectl", ensure_exists=True),
        platformdirs.user_data_path("stylectl", ensure_exists=True),
    ):
        assert path.is_relative_to(os.environ["HOME"])
        if sys.platform != "win32":  # where the session has one folder for all
            assert not (path / "kept").exists()
            (path / "kept").touch()


def test_the_cache_is_the_sessions() -> None:
    assert platformdirs.user_cache_path("stylectl").is_relative_to(os.environ["HOME"])
    assert "stylectl-tests-" in os.environ["HOME"]


def test_a_process_needs_the_marker() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"mark it with @pytest\.mark\.subprocess"):
        subprocess.run([sys.executable, "-c", ""])
