"""What `import stylectl` gives, and what the documents promise of it."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import stylectl
import typer
from stylectl.core.job.building import build_job
from stylectl.core.job.options.table import OPTIONS
from stylectl.tools.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", stylectl.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(stylectl, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        stylectl.nothing_like_it  # noqa: B018


@pytest.mark.subprocess
def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, stylectl, stylectl.tools.cli; "
        "print(sorted({'torch', 'torchvision', 'onnx', 'onnxruntime', 'numpy', 'pydantic'} "
        "& set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_the_job_file_of_the_docs_is_a_job() -> None:
    page = (ROOT / "docs" / "jobs.md").read_text()
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    job = build_job({}, tomllib.loads(text))
    assert job.seed == 7
    assert job.optimizer.options["line_search"] == "strong-wolfe"


@pytest.mark.subprocess
def test_every_option_has_a_flag_that_help_shows() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "stylectl", "run", "--help"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    ).stdout
    for option in OPTIONS:
        if option not in ("content", "styles"):  # the arguments PHOTO and PAINTING
            assert f"--{option.replace('_', '-')}" in shown


def flags_of(command: Any) -> set[str]:
    """Of a command, and of those below it."""
    own = {flag for parameter in command.params for flag in parameter.opts}
    return own.union(*map(flags_of, getattr(command, "commands", {}).values()))


def test_every_flag_in_the_readme_exists() -> None:
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    elsewhere = {"--strict", "--index-url", "--help"}  # mypy's, pip's, everyone's
    known = flags_of(typer.main.get_command(app))
    assert flags - elsewhere <= known
