"""`stylectl plugins`: for those who write plugins."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import OutputError, UsageError

#: The example plugin is the template: what is tested as the one is what the other writes.
_TEMPLATE = Path(__file__).parent.parent.parent / "examples" / "stylectl-plugin-demo"
_TEMPLATE_NAME = "demo"

app = typer.Typer(help="Write plugins.", no_args_is_help=True)


@app.callback()
def _plugins() -> None:
    """Write plugins. (stylectl list plugins shows those that are installed.)"""


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Such as pastel: makes stylectl-plugin-pastel.")],
) -> None:
    """Write a plugin to start from, with a loss term, a backbone, a writer and their tests, to a
    new folder here."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(f"{name!r}: a plugin's name has lower-case letters, digits and hyphens")
    _check_free(name)
    folder = Path(f"stylectl-plugin-{name}")
    if folder.exists():
        raise UsageError(f"{folder}: is there already")
    try:
        with tempfile.TemporaryDirectory(dir=".", prefix=".stylectl-") as private:
            whole = Path(private) / folder
            for source in _template_files():
                file = whole / _named(source.relative_to(_TEMPLATE).as_posix(), name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(_named(source.read_text("utf-8"), name), "utf-8")
            whole.replace(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror})") from None
    typer.echo(f"wrote {folder}")
    typer.echo(f"next: pip install -e './{folder}[test]' && pytest {folder}")


def _check_free(name: str) -> None:
    """Raises UsageError for the name of a plugin that is there, or of what one brings."""
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
