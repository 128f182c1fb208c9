from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.subprocess

Program = Callable[..., subprocess.CompletedProcess[str]]

TERM = """
from stylectl import IMAGE_LAYER, LossTerm, LossTermSpec, hookimpl

class Darkness(LossTerm):
    layers = (IMAGE_LAYER,)
    reads = frozenset()

    def __init__(self, arguments): ...

    def bind(self, references):
        return lambda features: features[IMAGE_LAYER].square().mean()

@hookimpl
def stylectl_loss_terms():
    yield LossTermSpec(
        name="darkness", summary="prefers black", create=Darkness, layers_from="image"
    )
"""


@pytest.fixture
def plugins_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "dark.py").write_text(TERM)
    (folder / "bad.py").write_text("raise ValueError('\\x1b[2Jno')")
    return folder


def new(folder: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stylectl", "plugins", "new", name, *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_a_new_plugin_has_its_own_name_everywhere(tmp_path: Path) -> None:
    done = new(tmp_path, "ink-wash")
    assert done.returncode == 0
    project = tmp_path / "stylectl-plugin-ink-wash"
    files = sorted(file.relative_to(project).as_posix() for file in project.rglob("*.*"))
    assert "src/stylectl_plugin_ink_wash/__init__.py" in files
    tests = [file for file in files if file.startswith("tests/")]
    assert tests == ["tests/test_filters.py", "tests/test_palette.py", "tests/test_swatches.py"]
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


def test_kinds_may_be_chosen(tmp_path: Path) -> None:
    done = new(tmp_path, "ink", "--kind", "listener", "--kind", "backend")
    assert done.returncode == 0
    tests = (tmp_path / "stylectl-plugin-ink" / "tests").iterdir()
    assert sorted(path.name for path in tests) == ["test_backend.py", "test_journal.py"]


def test_an_unknown_kind_is_wrong_usage(tmp_path: Path) -> None:
    done = new(tmp_path, "ink", "--kind", "thing")
    assert done.returncode == 2
    assert "backbone" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "stylectl-plugin-ink").mkdir()
    done = new(tmp_path, "ink")
    assert done.returncode == 2
    assert "exists already" in done.stderr


def test_both_lists_are_one(program: Program, plugins_dir: Path, tmp_path: Path) -> None:
    options = ("--plugins-dir", plugins_dir, "--json")
    lists = [
        program(*words, *options, folder=tmp_path).stdout
        for words in (("plugins", "list"), ("list", "plugins"))
    ]
    assert lists[0] == lists[1]
    rows = {row["name"]: row for row in json.loads(lists[0])["plugins"]}
    assert rows["dark"]["brings"] == ["loss term darkness"]
    assert rows["dark"]["state"] == "loaded"
    assert rows["bad"]["state"].startswith("broken: ValueError: ")
    assert rows["stylectl.png"]["brings"] == ["writer png"]
    shown = program("plugins", "list", *options[:2], folder=tmp_path).stdout
    assert "\x1b" not in shown
    assert "loss term darkness" in shown


def test_a_check_has_a_line_for_each_of_its_parts(
    program: Program, plugins_dir: Path, tmp_path: Path
) -> None:
    done = program("plugins", "check", "dark", "--plugins-dir", plugins_dir, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    head, loaded, *checks, totals = done.stdout.splitlines()
    assert head == f"dark ({plugins_dir / 'dark.py'})"
    assert loaded == "ok     plugin: is loaded"
    assert "ok     loss term darkness: keeps the contract" in checks
    outcomes = Counter(line.split()[0] for line in [loaded, *checks])
    assert totals == f"{outcomes['ok']} ok, 0 failed, {outcomes['note']} note"
    assert outcomes.total() == outcomes["ok"] + outcomes["note"]


def test_a_check_that_fails_is_the_commands_failure(
    program: Program, plugins_dir: Path, tmp_path: Path
) -> None:
    options = ("--plugins-dir", plugins_dir, "--json")
    done = program("plugins", "check", "bad", *options, folder=tmp_path)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["ok"] is False
    assert [check["outcome"] for check in report["checks"]] == ["failed"]
    unknown = program("plugins", "check", "drak", *options, folder=tmp_path)
    assert unknown.returncode == 2
    assert "did you mean dark?" in unknown.stderr


def test_every_command_with_plugins_takes_folders(
    program: Program, plugins_dir: Path, tmp_path: Path
) -> None:
    run = ("run", "--size", "32", "--iterations", "1", "--term", "darkness")
    done = program(*run, "--plugins-dir", plugins_dir, "-o", "out.png", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"the plugin bad ({plugins_dir / 'bad.py'}) is left out" in done.stderr
    for words in (
        run,
        ("sweep", "-o", "sheet.png"),
        ("batch", "--contents", "a", "--styles", "b", "-o", "c"),
        ("list",),
        ("bench",),
        ("parity",),
        ("export", "-o", "x.onnx"),
        ("plugins", "list"),
        ("plugins", "check", "png"),
    ):
        done = program(*words, "--plugins-dir", "missing", folder=tmp_path)
        assert done.returncode == 2
        assert "--plugins-dir: missing: not a folder" in done.stderr, words
