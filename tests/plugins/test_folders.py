from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stylectl
from stylectl.core.errors import UsageError
from stylectl.core.interfaces.events import Notice
from stylectl.plugins.manager import PluginRecord, load_plugins

TERM = """
from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict
from stylectl import IMAGE_LAYER, LossTerm, LossTermSpec, hookimpl


@dataclass
class Power:
    value: int | None = 2


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    power: int | None = 2


class Darkness(LossTerm):
    layers = (IMAGE_LAYER,)
    reads = frozenset()

    def __init__(self, arguments):
        self.power = Power(arguments.options.power)

    def bind(self, references):
        return lambda features: features[IMAGE_LAYER].pow(self.power.value).mean()


@hookimpl
def stylectl_loss_terms():
    yield LossTermSpec(
        name="NAME", summary="", create=Darkness, options=Options, layers_from="image"
    )
"""


@pytest.fixture(autouse=True)
def only_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLECTL_PLUGINS", "")
    monkeypatch.delenv("STYLECTL_PLUGINS_DIR", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With one plugin, `dark`, which has the loss term `darkness`."""
    return plugin(tmp_path / "mine" / "dark.py", "darkness").parent


def plugin(path: Path, term: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TERM.replace("NAME", term))
    return path


def records(*folders: Path) -> dict[str, PluginRecord]:
    return {
        record.name: record
        for record in load_plugins(folders=folders).records
        if record.origin != "built-in"
    }


def paint(**options: Any) -> stylectl.Result:
    return stylectl.run(size=32, iterations=2, scales=1, device="cpu", **options)


def test_each_file_is_a_plugin_that_is_called_like_it(folder: Path) -> None:
    plugin(folder / "light-and-dark.py", "light")
    found = records(folder)
    assert set(found) == {"dark", "light-and-dark"}
    assert found["dark"].origin == str(folder / "dark.py")
    assert found["dark"].state == "loaded"
    ((table, spec),) = found["dark"].contributions
    assert (table, spec.name) == ("terms", "darkness")


def test_a_run_uses_it(folder: Path) -> None:
    result = paint(plugins_dir=folder, term=["darkness"])
    assert "darkness" in result.final_losses
    with pytest.raises(UsageError, match="darkness"):
        paint(term=["darkness"])


def test_a_package_is_a_plugin_and_imports_its_own_modules(folder: Path) -> None:
    source = plugin(folder / "dusk" / "_term.py", "dusk")
    (source.parent / "__init__.py").write_text("from ._term import stylectl_loss_terms\n")
    assert records(folder)["dusk"].state == "loaded"


def test_other_files_are_left_alone(folder: Path) -> None:
    for name in ("_helper.py", ".hidden.py", "notes.txt", "_private/__init__.py", "data/x.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("1 / 0")
    assert set(records(folder)) == {"dark"}


def test_a_file_hides_no_module_of_its_name(folder: Path) -> None:
    for name in ("torch", "json", "stylectl"):
        plugin(folder / f"{name}.py", name)
    assert {record.state for record in records(folder).values()} == {"loaded"}
    import json

    assert json.loads("1") == 1
    assert Path(stylectl.__file__).parent != folder


@pytest.mark.parametrize(
    ("name", "source", "word"),
    [
        ("bad", "import a_module_that_nobody_has", "a_module_that_nobody_has"),
        ("bad", "raise ValueError('\\x1b[2Jno')", r"\x1b[2Jno"),
        ("bad", "raise SystemExit('no')", "no"),
        ("bad", "def broken(:", "SyntaxError"),
        ("bad", TERM.replace("NAME", "style"), "built in"),
        ("b.ad", "", "letters and digits"),
        ("b ad", "", "letters and digits"),
        ("bäd", "", "of ASCII"),
    ],
)
def test_a_broken_file_is_named_and_skipped(
    folder: Path, name: str, source: str, word: str
) -> None:
    (folder / f"{name}.py").write_text(source)
    plugins = load_plugins(folders=[folder])
    (sentence,) = plugins.problems
    assert str(folder / name) in sentence
    assert word in sentence
    assert sentence.isprintable()
    assert "darkness" in [spec.name for spec in plugins.registry.terms]


def test_two_files_of_one_name_are_told_apart_by_their_folders(
    folder: Path, tmp_path: Path
) -> None:
    other = plugin(tmp_path / "other" / "dark.py", "night").parent
    names = {f"{folder.as_posix()}/dark", f"{other.as_posix()}/dark"}
    assert set(records(folder, other)) == names
    plugins = load_plugins([f"{other.as_posix()}/dark"], folders=[folder, other])
    assert "night" not in [spec.name for spec in plugins.registry.terms]
    with pytest.raises(UsageError, match="may be"):
        load_plugins(["dark"], folders=[folder, other])


def test_a_folder_that_is_named_twice_counts_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLECTL_PLUGINS_DIR", str(folder))
    assert set(records(folder, folder / ".." / "mine")) == {"dark"}


def test_a_file_is_executed_once_in_a_process(folder: Path) -> None:
    (folder / "count.py").write_text(
        "from pathlib import Path\nPath(__file__).with_suffix('.txt').open('a').write('x')\n"
    )
    for _ in range(2):
        load_plugins(folders=[folder])
    assert (folder / "count.txt").read_text() == "x"


@pytest.mark.parametrize("name", ["missing", "mine/dark.py", "empty"])
def test_a_folder_without_plugins_is_wrong_usage(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=f"`plugins_dir`: .*{name}"):
        load_plugins(folders=[tmp_path / name])


def test_the_environment_names_folders_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = plugin(tmp_path / "other" / "night.py", "night").parent
    monkeypatch.setenv("STYLECTL_PLUGINS_DIR", os.pathsep.join([str(folder), str(other)]))
    assert set(records()) == {"dark", "night"}


def test_what_the_environment_names_in_vain_is_reported_and_the_rest_works(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "missing"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        "STYLECTL_PLUGINS_DIR", os.pathsep.join([str(missing), "mine", "", str(folder)])
    )
    plugins = load_plugins()
    assert "darkness" in [spec.name for spec in plugins.registry.terms]
    first, second = plugins.problems
    assert str(missing) in first
    # Else a folder that is called so, anywhere, would be executed.
    assert second == "STYLECTL_PLUGINS_DIR: mine: not an absolute path"
    heard: list[object] = []
    paint(on_event=heard.append)
    notices = [event.message for event in heard if isinstance(event, Notice)]
    assert first in notices


@pytest.mark.subprocess
def test_no_job_can_name_a_folder(folder: Path, tmp_path: Path) -> None:
    job = tmp_path / "job.toml"
    job.write_text(f"plugins_dir = {str(folder)!r}\n")
    with pytest.raises(UsageError, match="plugins_dir"):
        paint(job=job)
    picture = {"content": "sample:photo", "styles": ["sample:painting"], "output": "x.png"}
    with pytest.raises(UsageError, match="plugins_dir"):
        stylectl.batch([{**picture, "plugins_dir": folder}])
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"content,style,plugins_dir\nsample:photo,sample:painting,{folder}\n")
    options = ["--manifest", str(manifest), "-o", str(tmp_path)]
    command = [sys.executable, "-m", "stylectl", "batch", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "plugins_dir" in done.stderr


def test_every_way_to_a_run_takes_folders(folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"size": 32, "iterations": 1, "scales": 1, "term": ["darkness"]}
    images = {"content": "sample:photo", "styles": ["sample:painting"]}
    report = stylectl.batch(
        [{**images, "output": tmp_path / "a.png"}], plugins_dir=[folder], **options
    )
    assert report.painted == (tmp_path / "a.png",)
    sheet = stylectl.sweep(
        tmp_path / "sheet.png", {"seed": [1, 2]}, plugins_dir=str(folder), **options
    )
    assert len(sheet.painted) == 2
