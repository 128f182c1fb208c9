from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from stylectl.core.errors import UsageError
from stylectl.tools.plugins.template import DEFAULT, Kind, write_plugin

#: What only one kind's plugin contains.
MARKS = {
    Kind.TERM: ("LossTerm", "palette.py", "hooks.loss_terms", "-palette"),
    Kind.WRITER: ("Writer", "swatches.py", "hooks.writers", "-swatches"),
    Kind.BACKBONE: ("Backbone", "filters.py", "hooks.backbones", "-filters"),
    Kind.BACKEND: ("FeatureBackend", "backend.py", "hooks.backends", "-autograd"),
    Kind.LISTENER: ("StepDone", "journal.py", "hooks.step", "_JOURNAL"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a plugin for each kind, `only-KIND`, and one of all kinds, `all-kinds`."""
    made = tmp_path_factory.mktemp("plugins")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for kind in Kind:
            write_plugin(f"only-{kind}", [kind])
        write_plugin("all-kinds", list(Kind))
    return made


def project(folder: Path, name: str) -> Path:
    return folder / f"stylectl-plugin-{name}"


def text_of(folder: Path) -> str:
    return "\n".join(
        f"{path.relative_to(folder)}\n{path.read_text()}" for path in folder.rglob("*.*")
    )


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python with the plugins importable, and found by stylectl."""
    sources = [str(path) for path in folder.glob("*only*/src")]
    paths = os.pathsep.join([*sources, os.environ.get("PYTHONPATH", "")])
    environment = {
        **os.environ,
        "PYTHONPATH": paths,
        "STYLECTL_PLUGINS_DIR": os.pathsep.join(sources),
        "STYLECTL_PLUGINS": "",
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )


@pytest.mark.parametrize("kind", Kind)
def test_a_plugin_of_one_kind_has_nothing_of_the_others(folder: Path, kind: Kind) -> None:
    text = text_of(project(folder, f"only-{kind}"))
    for other, (_, *marks) in MARKS.items():
        for mark in marks:
            assert (mark in text) == (other is kind), mark
    assert MARKS[kind][0] in text
    assert "demo" not in text.lower()


def test_a_plugin_of_all_kinds_has_everything(folder: Path) -> None:
    text = text_of(project(folder, "all-kinds"))
    for marks in MARKS.values():
        for mark in marks:
            assert mark in text
    assert "ALL_KINDS_JOURNAL" in text
    assert "demo" not in text.lower()


def test_the_default_is_a_term_a_backbone_and_a_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = text_of(tmp_path / write_plugin("ink", DEFAULT))
    hooks = [marks[2] for kind, marks in MARKS.items() if marks[2] in text]
    assert hooks == ["hooks.loss_terms", "hooks.writers", "hooks.backbones"]


def test_a_name_that_contains_the_examples_name_is_kept_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = tmp_path / write_plugin("demo-demon", [Kind.LISTENER])
    assert (made / "src" / "stylectl_plugin_demo_demon" / "journal.py").is_file()
    assert "DEMO_DEMON_JOURNAL" in (made / "README.md").read_text()
    assert 'demo-demon = "stylectl_plugin_demo_demon"' in (made / "pyproject.toml").read_text()


def test_it_has_types_a_license_and_the_versions_of_stylectl(folder: Path) -> None:
    made = project(folder, "only-term")
    assert (made / "src" / "stylectl_plugin_only_term" / "py.typed").is_file()
    assert "MIT License" in (made / "LICENSE.txt").read_text()
    table = tomllib.loads((made / "pyproject.toml").read_text())["project"]
    assert table["license"] == "MIT"
    (requirement,) = map(Requirement, table["dependencies"])
    assert requirement.name == "stylectl"
    assert requirement.specifier.contains(version("stylectl"), prereleases=True)
    assert {part.operator for part in requirement.specifier} == {">=", "<"}


@pytest.mark.subprocess
def test_each_kind_passes_its_own_tests(folder: Path) -> None:
    tests = [project(folder, f"only-{kind}") / "tests" for kind in Kind]
    done = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert done.returncode == 0, done.stdout + done.stderr
    for path in tests:
        assert len(list(path.glob("test_*.py"))) == 1


@pytest.mark.subprocess
def test_loading_them_imports_nothing_slow(folder: Path) -> None:
    code = (
        "import sys; from stylectl.plugins.manager import load_plugins; plugins = load_plugins(); "
        "print(len(plugins.problems), [record.name for record in plugins.records if "
        "record.origin != 'built-in'], {'torch'} & set(sys.modules))"
    )
    done = run(folder, "-c", code)
    names = sorted(f"stylectl_plugin_only_{kind}" for kind in Kind)
    assert done.stdout.startswith("0 "), done.stderr
    assert all(name in done.stdout for name in names)
    assert done.stdout.endswith("set()\n")


@pytest.mark.subprocess
def test_ruff_finds_nothing(folder: Path) -> None:
    for command in (["check"], ["format", "--check"]):
        done = run(folder, "-m", "ruff", *command, "--no-cache", folder)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_folder_that_is_there_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("stylectl-plugin-ink").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        write_plugin("ink", DEFAULT)
    assert not list(Path("stylectl-plugin-ink").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["stylectl-plugin-ink"]
