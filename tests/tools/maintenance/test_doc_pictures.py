"""The pictures of the documentation are there, and could be made again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from stylectl.plugins.manager import load_plugins
from stylectl.tools.cli import app
from stylectl.tools.maintenance.doc_pictures import PAGES, ROOT, Picture, pictures
from stylectl.tools.queue.settings import read_settings
from stylectl.tools.queue.sheets.cells import make_grid
from stylectl.tools.queue.tasks import TaskMaker
from typer.testing import CliRunner

SHOWN = [each for page in PAGES for each in pictures(page)]
#: A picture may be shown in both pages.
PICTURES = {each.output: each for each in SHOWN}


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_one_file_is_made_by_one_command() -> None:
    assert set(SHOWN) == set(PICTURES.values())


def test_every_picture_that_is_shown_has_its_command() -> None:
    for page in PAGES:
        linked = re.findall(r"\]\((images/(?:gallery|controls)/[^)]+)", page.read_text())
        assert {Path("docs", name) for name in linked} == {each.output for each in pictures(page)}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=lambda each: each.output.stem)
def test_its_files_are_there_and_its_options_are_accepted(picture: Picture) -> None:
    assert picture.output.is_file()
    command, *arguments = picture.arguments
    at = arguments.index("-o")
    rest = [*arguments[:at], *arguments[at + 2 :]]
    for name in re.findall(r"(?:docs|examples)/[^ ,+]+", " ".join(rest)):
        assert Path(name).is_file(), name
    if command == "sweep":
        check_sweep(arguments)
    else:
        result = CliRunner().invoke(app, ["run", *rest, "--print-job"], catch_exceptions=False)
        assert result.exit_code == 0, result.output


def check_sweep(arguments: list[str]) -> None:
    """Makes all of its cells' jobs."""
    command = typer.main.get_command(app).commands["sweep"]  # type: ignore[attr-defined]
    given = command.make_context("sweep", arguments).params
    options = {"content": given["photo"], "styles": list(given["paintings"])}
    registry = load_plugins().registry
    settings = read_settings(given["settings"], registry.option_models)
    make_grid(settings, options, Path("cells"), TaskMaker(registry))


@pytest.mark.subprocess
def test_what_is_missing_is_made_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    there = PICTURES[next(iter(PICTURES))]
    page.write_text(
        f"```\nstylectl run a.jpg b.jpg -o {there.output}\nstylectl run a b -o c.png\n```\n"
    )
    assert [each.output for each in pictures(page)] == [there.output]
    done = subprocess.run(
        [sys.executable, "-m", "stylectl.tools.maintenance.doc_pictures", str(page)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")
