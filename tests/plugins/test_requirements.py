"""Plugins that a job needs: stated by the job itself, and checked where it is read."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import stylectl
from hypothesis import given
from hypothesis import strategies as st
from stylectl import Job, UsageError
from stylectl.core.outputs.record import read_record
from stylectl.core.planning.planner import make_plan
from stylectl.core.planning.registry import Registry
from stylectl.core.planning.requirements import check_installed
from stylectl.plugins.manager import load_plugins

Install = Callable[..., str]

SMALL: dict[str, Any] = {"size": 32, "iterations": 1, "scales": 1, "device": "cpu"}

SOURCE = """
from stylectl import PRESETS, IMAGE_LAYER, LossTerm, LossTermSpec, PresetSpec, hookimpl


class Darkness(LossTerm):
    layers = (IMAGE_LAYER,)
    reads = frozenset()

    def __init__(self, layers, options):
        pass

    def bind(self, references):
        return lambda features: features[IMAGE_LAYER].square().mean()


@hookimpl
def stylectl_loss_terms():
    yield LossTermSpec(
        name="darkness", summary="prefers black", create=Darkness, layers_from="image"
    )


@hookimpl
def stylectl_presets():
    terms = [*PRESETS["draft"]["terms"], {"name": "darkness", "weight": 3.0}]
    yield PresetSpec(
        name="night", summary="a dark draft", table=PRESETS["draft"] | {"terms": terms}
    )
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("STYLECTL_PLUGINS", raising=False)


def test_a_record_states_the_plugins_that_it_was_made_with(install: Install) -> None:
    install(SOURCE, "dark", "stylectl-plugin-dark", "1.2")
    stylectl.run(**SMALL, term="darkness", output="a.png")
    assert read_record(Path("a.png"))["job"]["plugins"] == {
        "require": ["stylectl-plugin-dark>=1.2"]
    }
    stylectl.run(**SMALL, output="b.png")
    assert "plugins" not in read_record(Path("b.png"))["job"]
    again = stylectl.run("a.png")
    assert again.job.plugins.require == ("stylectl-plugin-dark>=1.2",)


def test_a_term_without_weight_requires_nothing(install: Install) -> None:
    install(SOURCE, "dark", "stylectl-plugin-dark", "1.2")
    job = Job.from_preset(term={"name": "darkness", "weight": 0})
    assert make_plan(job, load_plugins().registry).job.plugins.require == ()


def test_what_the_job_requires_itself_stays(install: Install) -> None:
    install(SOURCE, "dark", "stylectl-plugin-dark", "1.2")
    Path("job.toml").write_text(
        'terms = ["style", "darkness"]\n[plugins]\nrequire = ["Stylectl_Plugin.Dark<2,>=1"]\n'
    )
    result = stylectl.run("job.toml", **SMALL)
    assert result.job.plugins.require == ("Stylectl_Plugin.Dark<2,>=1",)


def test_a_module_that_is_not_installed_is_not_required() -> None:
    module = ModuleType("dark")
    exec(SOURCE, vars(module))
    registry = load_plugins(extra=[module]).registry
    plan = make_plan(Job.from_preset(term="darkness"), registry)
    assert plan.job.plugins.require == ()


@pytest.mark.parametrize("version", ["1.2+local.3", "1.2.dev4", "not a version"])
def test_any_version_is_stated_so_that_it_is_met(install: Install, version: str) -> None:
    install(SOURCE, "dark", "stylectl-plugin-dark", version)
    plan = make_plan(Job.from_preset(term="darkness"), load_plugins().registry)
    assert len(plan.job.plugins.require) == 1
    check_installed(plan.job.plugins.require, load_plugins().registry)


@pytest.mark.parametrize(
    "read",
    [
        lambda: stylectl.run("record.json"),
        lambda: stylectl.run("job.toml"),
        lambda: stylectl.run("preset.toml"),
        lambda: stylectl.batch([{"output": "a.png"}], job="preset.toml"),
    ],
    ids=["record", "job file", "preset", "batch"],
)
def test_a_missing_plugin_is_named_with_the_command_that_installs_it(
    read: Callable[[], object],
) -> None:
    job = {"terms": ["style", "darkness"], "plugins": {"require": ["stylectl-plugin-dark>=1.2"]}}
    require = 'plugins = {require = ["stylectl-plugin-dark>=1.2"]}\n'
    Path("record.json").write_text(json.dumps({"format": 3, "job": job}))
    Path("job.toml").write_text(f'terms = ["style", "darkness"]\n{require}')
    Path("preset.toml").write_text(f'preset = "night"\n{require}')
    with pytest.raises(UsageError) as caught:
        read()
    assert str(caught.value) == (
        "the job needs the plugin stylectl-plugin-dark>=1.2, and it is not installed; "
        "if you trust it: stylectl plugins install 'stylectl-plugin-dark>=1.2'"
    )


def test_a_record_of_a_missing_plugin_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from stylectl.tools.cli import app

    require = ["stylectl-plugin-dark>=1.2", "x===\x1b[2J"]
    job = {"terms": ["style", "darkness"], "plugins": {"require": require}}
    Path("record.json").write_text(json.dumps({"format": 3, "job": job}))
    app(["show", "record.json"], prog_name="stylectl", standalone_mode=False)
    shown = capsys.readouterr().out
    assert shown.startswith("# the job needs the plugin stylectl-plugin-dark>=1.2, and it is not")
    assert tomllib.loads(shown)["plugins"]["require"] == require
    assert "\x1b" not in shown


def test_another_version_is_named(install: Install) -> None:
    install(SOURCE, "dark", "stylectl-plugin-dark", "1.0")
    Path("job.toml").write_text('plugins = {require = ["stylectl-plugin-dark>=1.2,<2"]}\n')
    with pytest.raises(UsageError, match=r"dark<2,>=1\.2, and 1\.0 is installed; .* install '"):
        stylectl.run("job.toml", **SMALL)


def test_all_missing_plugins_are_named_at_once() -> None:
    Path("job.toml").write_text('plugins = {require = ["nowhere", "stylectl-x>=1"]}\n')
    with pytest.raises(UsageError) as caught:
        stylectl.run("job.toml", **SMALL)
    assert str(caught.value) == (
        "the job needs the plugin nowhere, and it is not installed; the job needs the plugin "
        "stylectl-x>=1, and it is not installed; if you trust them: stylectl plugins install "
        "nowhere && stylectl plugins install 'stylectl-x>=1'"
    )


@pytest.mark.parametrize(
    ("source", "options", "reason"),
    [
        (SOURCE, {"no_plugin": ["dark"]}, "switched off"),
        ("1 / 0", {}, "ZeroDivisionError"),
    ],
    ids=["switched off", "broken"],
)
def test_a_required_plugin_that_is_left_out_is_named_with_the_reason(
    install: Install, source: str, options: dict[str, Any], reason: str
) -> None:
    install(source, "dark", "stylectl-plugin-dark", "1.2")
    Path("job.toml").write_text('plugins = {require = ["stylectl-plugin-dark"]}\n')
    with pytest.raises(UsageError, match=f"stylectl-plugin-dark, which is left out: .*{reason}"):
        stylectl.run("job.toml", **SMALL, **options)


def test_a_job_from_python_is_checked_as_well() -> None:
    job = Job.model_validate({**Job.from_preset().as_table(), "plugins": {"require": ["nowhere"]}})
    with pytest.raises(UsageError, match="needs the plugin nowhere, and it is not installed"):
        stylectl.run(job)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('["a b"]', "should have names of distributions"),
        ('["x @ https://example.com/x.whl"]', "should have names of distributions"),
        ('["--index-url=https://example.com"]', "should have names of distributions"),
        ('"x>=1"', "require"),
        ("[3]", "require"),
    ],
)
def test_what_is_no_requirement_is_refused(value: str, words: str) -> None:
    Path("job.toml").write_text(f"plugins = {{require = {value}}}\n")
    with pytest.raises(UsageError, match=f"^job: plugins.*{words}"):
        stylectl.run("job.toml")
    Path("job.toml").write_text("plugins = 3\n")
    with pytest.raises(UsageError, match="plugins should be a table"):
        stylectl.run("job.toml")


def test_a_requirement_of_another_system_does_not_count() -> None:
    check_installed(
        ["nowhere; python_version < '3'", "nowhere; extra == 'x'", "pydantic[x]>=2"], Registry()
    )


@given(st.from_regex(r"nowhere-[a-z]{1,5}(\[[a-z]\])?((>=|==|~=)[0-9]\.[0-9])?", fullmatch=True))
def test_the_command_is_one_line_with_the_requirement(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_installed([text], Registry())
    assert text in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_finished_result_stays_finished_with_another_requirement(install: Install) -> None:
    install(SOURCE, "dark", "stylectl-plugin-dark", "1.2")
    picture = {"term": "darkness", "output": "a.png"}
    assert len(stylectl.batch([picture], **SMALL).painted) == 1
    Path("job.toml").write_text('plugins = {require = ["stylectl-plugin-dark"]}\n')
    assert len(stylectl.batch([picture], job="job.toml", **SMALL).found) == 1


def test_a_preset_of_a_plugin_is_a_preset(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    from stylectl.tools.cli import app

    install(SOURCE, "dark", "stylectl-plugin-dark", "1.2")
    result = stylectl.run(preset="night", **SMALL)
    assert [term.name for term in result.job.terms] == ["content", "style", "tv", "darkness"]
    texture = stylectl.run(preset="night", texture="sample:painting", **{**SMALL, "size": 32})
    assert [term.name for term in texture.job.terms] == ["style", "darkness"]
    app(["list", "presets", "--json"], prog_name="stylectl", standalone_mode=False)
    rows = json.loads(capsys.readouterr().out)["presets"]
    assert [row["name"] for row in rows] == [
        "balanced",
        "balanced-0.1",
        "draft",
        "nnst",
        "paper",
        "strotss",
        "night",
    ]
    settings = ["--set", "preset=draft,night", "--set", "size=32", "--set", "iterations=1"]
    app(["sweep", *settings, "-o", "s.png"], prog_name="stylectl", standalone_mode=False)
    assert (Path("s-cells") / "preset=night.png").is_file()


def test_a_preset_that_two_plugins_bring_names_both(install: Install) -> None:
    install(SOURCE, "dark", "stylectl-plugin-dark")
    install(SOURCE, "night", "stylectl-plugin-night")
    with pytest.raises(stylectl.PluginError, match="the preset 'night' is claimed by both"):
        stylectl.run(preset="night")
    assert stylectl.run(**SMALL).job.size == 32
