"""Command `stylectl plugins`, for authors of plugins."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import OutputError, UsageError
from ..console.printing import print_line

#: The example plugin is the template, so that the written plugin is tested code.
_TEMPLATE = Path(__file__).parent.parent.parent / "examples" / "stylectl-plugin-demo"
_TEMPLATE_NAME = "demo"

#: Longest name of a plugin, from which those of files are made.
_LONGEST = 64

app = typer.Typer(help="Write plugins.", no_args_is_help=True)


@app.callback()
def _plugins() -> None:
    """Write plugins. (stylectl list plugins shows those that are installed.)"""


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Such as pastel: makes stylectl-plugin-pastel.")],
) -> None:
    """Write a plugin to start from, in a new folder here.

    It has a loss term, a backbone, a writer and their tests.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(f"{name!r}: a plugin's name has lower-case letters, digits and hyphens")
    if len(name) > _LONGEST:
        raise UsageError(f"a plugin's name has at most {_LONGEST} characters")
    _check_free(name)
    folder = Path(f"stylectl-plugin-{name}")
    if folder.exists():
        raise UsageError(f"{folder}: exists already")
    try:
        with tempfile.TemporaryDirectory(dir=".", prefix=".stylectl-") as private:
            complete = Path(private) / folder
            for source in _template_files():
                file = complete / _named(source.relative_to(_TEMPLATE).as_posix(), name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(_named(source.read_text("utf-8"), name), "utf-8")
            complete.replace(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror})") from None
    print_line(f"wrote {folder}")
    print_line(f"next: pip install -e './{folder}[test]' && pytest {folder}")


def _check_free(name: str) -> None:
    """Raise UsageError for the name of an existing plugin, or of a contribution."""
    from ...plugins.finding import find_plugins
    from ...plugins.manager import load_plugins

    registry = load_plugins().registry
    taken = {
        **{spec.name: table.label(spec.name) for table in registry.tables for spec in table},
        **{
            plugin.short_name: f"the plugin {plugin.name} ({plugin.origin})"
            for plugin in find_plugins()
        },
    }
    if name in taken:
        raise UsageError(f"{name!r}: the name is taken by {taken[name]}; choose another")


def _template_files() -> list[Path]:
    patterns = ("*.toml", "*.md", "*.txt", "src/*/*.py", "src/*/py.typed", "tests/*.py")
    return [file for pattern in patterns for file in sorted(_TEMPLATE.glob(pattern))]


def _named(text: str, name: str) -> str:
    module = f"stylectl_plugin_{name.replace('-', '_')}"
    text = text.replace(f"stylectl_plugin_{_TEMPLATE_NAME}", module)
    return text.replace(_TEMPLATE_NAME, name)
