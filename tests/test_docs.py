"""The documents keep up: what is not documented fails here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import stylectl
import typer
from stylectl.core.planning.registry import Registry
from stylectl.plugins import hookspecs
from stylectl.plugins.manager import load_plugins
from stylectl.tools.cli import app

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
EVERY_PAGE = README + "".join(page.read_text() for page in DOCS.glob("*.md"))

HOOKS = [name for name in vars(hookspecs) if name.startswith("stylectl_")]
KINDS = ("backends", "backbones", "terms", "writers")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins().registry


def sections(page: Path) -> dict[str, str]:
    """By heading of the second level: what stands under it."""
    parts = re.split(r"^## (.+)$", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_in_the_page_for_plugin_authors(hook: str) -> None:
    assert f"`{hook}(" in (DOCS / "plugins.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_every_built_in_contribution_has_a_section_with_its_options(
    registry: Registry, kind: str
) -> None:
    found = sections(DOCS / f"{kind}.md")
    for spec in getattr(registry, kind):
        assert spec.name in found, f"docs/{kind}.md has no section {spec.name}"
        for option in spec.options.model_fields:
            assert f"`{option}`" in found[spec.name], f"{spec.name}: {option}"


@pytest.mark.parametrize("kind", KINDS)
def test_no_section_is_about_what_is_gone(registry: Registry, kind: str) -> None:
    names = {spec.name for spec in getattr(registry, kind)}
    assert set(sections(DOCS / f"{kind}.md")) <= names


def test_every_command_and_flag_is_somewhere() -> None:
    program = typer.main.get_command(app)
    for name, command in program.commands.items():  # type: ignore[attr-defined]
        assert f"stylectl {name}" in EVERY_PAGE
        flags = [flag for each in command.params for flag in each.opts if flag.startswith("--")]
        for flag in flags:
            assert re.search(rf"{flag}(?![\w-])", EVERY_PAGE), f"stylectl {name} {flag}"


@pytest.mark.parametrize("name", [name for name in stylectl.__all__ if name.endswith("Spec")])
def test_every_kind_of_contribution_is_in_the_page_for_plugin_authors(name: str) -> None:
    assert f"`{name}`" in (DOCS / "plugins.md").read_text()


def test_every_picture_and_page_that_is_linked_is_there() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.subprocess
def test_every_command_that_is_shown_is_one() -> None:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", EVERY_PAGE, re.MULTILINE | re.DOTALL)
    blocks = "".join(block for language, block in found if not language)
    shown = set(re.findall(r"^(?:\S*/)?stylectl ([a-z]+)", blocks, re.MULTILINE))
    help_text = subprocess.run(
        [sys.executable, "-m", "stylectl", "--help"], check=True, capture_output=True, text=True
    ).stdout
    for name in shown:
        assert re.search(rf"\b{name}\b", help_text), name
