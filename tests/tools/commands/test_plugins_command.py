from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.subprocess


def new(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stylectl", "plugins", "new", name]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_a_new_plugin_has_its_own_name_everywhere(tmp_path: Path) -> None:
    done = new(tmp_path, "ink-wash")
    assert done.returncode == 0
    project = tmp_path / "stylectl-plugin-ink-wash"
    files = sorted(file.relative_to(project).as_posix() for file in project.rglob("*.*"))
    assert "src/stylectl_plugin_ink_wash/__init__.py" in files
    assert "tests/test_plugin.py" in files
    assert {"LICENSE.txt", "src/stylectl_plugin_ink_wash/py.typed"} <= set(files)
    pyproject = (project / "pyproject.toml").read_text()
    assert 'name = "stylectl-plugin-ink-wash"' in pyproject
    assert 'ink-wash = "stylectl_plugin_ink_wash"' in pyproject
    assert list(tmp_path.iterdir()) == [project]


@pytest.mark.parametrize("name", ["Ink", "ink_wash", "../up", "", "-", "1st", "a b", "é"])
def test_a_name_that_cannot_be_is_wrong_usage(tmp_path: Path, name: str) -> None:
    done = new(tmp_path, name)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["style", "report", "png", "jpeg", "vgg19", "torch"])
def test_a_name_that_is_taken_is_refused(tmp_path: Path, name: str) -> None:
    done = new(tmp_path, name)
    assert done.returncode == 2
    assert f"{name!r}: the name is taken by" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "stylectl-plugin-ink").mkdir()
    done = new(tmp_path, "ink")
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert not list((tmp_path / "stylectl-plugin-ink").iterdir())
