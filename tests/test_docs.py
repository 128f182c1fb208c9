"""The documents keep up: what is not documented fails here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stylectl
import typer
from stylectl.core.job.options.table import OPTIONS
from stylectl.core.job.options.video import VIDEO_OPTIONS
from stylectl.core.planning.registry import Registry
from stylectl.plugins import hookspecs
from stylectl.plugins.manager import load_plugins
from stylectl.tools.cli import app

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
EVERY_PAGE = README + "".join(page.read_text() for page in DOCS.glob("*.md"))

HOOKS = [name for name in vars(hookspecs) if name.startswith("stylectl_")]
KINDS = ("backends", "backbones", "terms", "writers", "optimizers", "initializers")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins().registry


def sections(page: Path) -> dict[str, str]:
    """By heading of the second level: what stands under it."""
    parts = re.split(r"^## (.+)$", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_in_the_page_for_plugin_authors(hook: str) -> None:
    mark = hook.removeprefix("stylectl_")
    assert f"`hooks.{mark}`" in (DOCS / "plugins.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_every_built_in_contribution_has_a_section_with_its_options(
    registry: Registry, kind: str
) -> None:
    found = sections(DOCS / f"{kind}.md")
    for spec in getattr(registry, kind):
        assert spec.name in found, f"docs/{kind}.md has no section {spec.name}"
        for option in spec.options.model_fields:
            assert f"`{option}`" in found[spec.name], f"{spec.name}: {option}"


def test_every_optical_flow_is_in_the_page_of_video_with_its_options(registry: Registry) -> None:
    lines = (DOCS / "video.md").read_text().splitlines()
    for spec in registry.flows:
        row = next(line for line in lines if line.startswith(f"| `{spec.name}`"))
        for option in spec.options.model_fields:
            assert f"`{option}`" in row, f"{spec.name}: {option}"


def test_every_setting_of_a_video_is_in_the_page_of_video() -> None:
    page = (DOCS / "video.md").read_text()
    for name in VIDEO_OPTIONS:
        assert f"--{name.replace('_', '-')}" in page, name


@pytest.mark.parametrize("kind", KINDS)
def test_no_section_is_about_what_is_gone(registry: Registry, kind: str) -> None:
    names = {spec.name for spec in getattr(registry, kind)}
    assert set(sections(DOCS / f"{kind}.md")) <= names


def commands(command: Any, path: str) -> dict[str, Any]:
    """All commands below a command, by what a user types."""
    found = {} if path in GROUPS else {path: command}
    for name, below in getattr(command, "commands", {}).items():
        found |= commands(below, f"{path} {name}")
    return found


#: Groups of commands without flags of their own.
GROUPS = ("stylectl plugins",)
COMMANDS = commands(typer.main.get_command(app), "stylectl")
REFERENCE = (DOCS / "commands.md").read_text()
#: Flags by the sections that list them: of all options of a job.
OPTION_FLAGS = {f"--{name.replace('_', '-')}" for name in OPTIONS} - {"--content", "--styles"}
#: How a section says that its command has all of these flags.
ALL_OPTIONS = "As in `run`, there is a flag for every option of a job"


def reference_of(command: str) -> str:
    """A command's section in docs/commands.md; the program's own flags are above all sections."""
    above, *parts = re.split(r"^## ", REFERENCE, flags=re.MULTILINE)
    if command == "stylectl":
        return above
    found = [part for part in parts if re.match(rf"{command}(?! [a-z])\b", part)]
    assert len(found) == 1, f"docs/commands.md needs one section `## {command} ...`"
    return found[0]


def documented(command: str) -> set[str]:
    section = reference_of(command)
    flags = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*(?![\w-])", section))
    return flags | (OPTION_FLAGS if ALL_OPTIONS in " ".join(section.split()) else set())


def flags_of(command: str) -> set[str]:
    # The former names of options are hidden.
    shown = [option for option in COMMANDS[command].params if not option.hidden]
    found = {flag for option in shown for flag in option.opts}
    return {flag for flag in found if flag.startswith("-")}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_stands_in_its_own_commands_section(command: str) -> None:
    missing = sorted(flags_of(command) - documented(command))
    assert not missing, (
        f"docs/commands.md, section {command}: write what {missing} do; a command that has the "
        f"flags of all of a job's options says so with the words {ALL_OPTIONS!r}"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_no_section_has_a_flag_that_its_command_lacks(command: str) -> None:
    foreign = sorted(documented(command) - flags_of(command) - {"--help"})
    assert not foreign, (
        f"docs/commands.md, section {command}: the command has no {foreign}; take them out, and "
        "write of the flags of another command in its own section"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_something_of_every_flag_and_argument(command: str) -> None:
    for option in COMMANDS[command].params:
        if option.hidden:
            continue
        assert option.help.strip(), f"{command}: {option.name} has no `help=`"


@pytest.mark.parametrize("name", [name for name in stylectl.__all__ if name.endswith("Spec")])
def test_every_kind_of_contribution_is_in_the_page_for_plugin_authors(name: str) -> None:
    assert f"`{name}`" in (DOCS / "plugins.md").read_text()


def test_every_picture_and_page_that_is_linked_is_there() -> None:
    pages = [*DOCS.glob("*.md"), *DOCS.glob("reference/*.md")]
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *pages]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.subprocess
def test_every_command_that_is_shown_is_one() -> None:
    found = re.findall(r"^```([^\n]*)\n(.*?)^```$", EVERY_PAGE, re.MULTILINE | re.DOTALL)
    blocks = "".join(block for language, block in found if not language)
    shown = set(re.findall(r"^(?:\S*/)?stylectl ([a-z]+)", blocks, re.MULTILINE))
    help_text = subprocess.run(
        [sys.executable, "-m", "stylectl", "--help"], check=True, capture_output=True, text=True
    ).stdout
    for name in shown:
        assert re.search(rf"\b{name}\b", help_text), name


def test_a_figure_in_the_readme_is_one_of_the_benchmarks() -> None:
    measured = (DOCS / "benchmarks.md").read_text() + (DOCS / "tiling.md").read_text()
    figures = re.findall(r"[\d.]+ (?:s|MB|GB|times)\b", README)
    assert figures
    for figure in figures:
        assert re.search(rf"(?<![\d.]){re.escape(figure)}\b", measured), figure


def test_every_key_of_the_json_file_is_in_the_page_of_writers(tmp_path: Path) -> None:
    stylectl.run(size=64, iterations=1, output=tmp_path / "run.json")
    described = sections(DOCS / "writers.md")["json"]
    for key in json.loads((tmp_path / "run.json").read_text()):
        assert f"`{key}`" in described


def test_the_readme_fits_on_two_screens() -> None:
    assert len(README.splitlines()) <= 100
