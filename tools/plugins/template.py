"""The template of a plugin: the example plugin, or the parts of it for some kinds.

The example is tested code. Each kind of contribution has modules and a test file of its own. The
files that all kinds share have a line for each kind; a line that names something of a kind that was
not chosen is left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from ...core.errors import OutputError, UsageError
from ...core.leftovers import PRIVATE, temporary_folder

_TEMPLATE = Path(__file__).parent.parent.parent / "examples" / "stylectl-plugin-demo"
_PACKAGE = "src/stylectl_plugin_demo"


class Kind(StrEnum):
    """Kinds of contributions that the template has an example of."""

    TERM = "term"
    WRITER = "writer"
    BACKBONE = "backbone"
    BACKEND = "backend"
    LISTENER = "listener"


#: Kinds of a plugin whose author names none.
DEFAULT = (Kind.TERM, Kind.BACKBONE, Kind.WRITER)


@dataclass(frozen=True)
class _Part:
    """Files of a kind, and the words by which lines of the shared files belong to it."""

    modules: tuple[str, ...]
    test: str
    words: tuple[str, ...]


_PARTS: Mapping[Kind, _Part] = MappingProxyType(
    {
        Kind.TERM: _Part(
            modules=("palette.py", "colors.py"),
            test="test_palette.py",
            words=("demo-palette", ".palette", '"loss_terms"'),
        ),
        Kind.WRITER: _Part(
            modules=("swatches.py", "colors.py"),
            test="test_swatches.py",
            words=("demo-swatches", ".swatches", '"writers"'),
        ),
        Kind.BACKBONE: _Part(
            modules=("filters.py", "gabor.py"),
            test="test_filters.py",
            words=("demo-filters", ".filters", '"backbones"'),
        ),
        Kind.BACKEND: _Part(
            modules=("backend.py", "autograd.py"),
            test="test_backend.py",
            words=("demo-autograd", ".backend", '"backends"'),
        ),
        Kind.LISTENER: _Part(
            modules=("journal.py",),
            test="test_journal.py",
            words=("DEMO_JOURNAL", ".journal", '"run_started"', '"step"'),
        ),
    }
)
#: Files of every plugin: as they are, and those whose lines are chosen.
_PLAIN = ("pyproject.toml", "LICENSE.txt", f"{_PACKAGE}/py.typed")
_SHARED = ("README.md", f"{_PACKAGE}/__init__.py")


def write_plugin(name: str, kinds: Collection[Kind]) -> Path:
    """Write a plugin with the chosen kinds to a new folder here, and return the folder.

    Raises UsageError if the folder exists, and OutputError if it cannot be written.
    """
    folder = Path(f"stylectl-plugin-{name}")
    if folder.exists():
        raise UsageError(f"{folder}: exists already")
    try:
        with temporary_folder(Path(), PRIVATE) as private:
            complete = private / folder
            for source, text in _files(kinds).items():
                file = complete / _named(source, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(_named(text, name), "utf-8")
            complete.replace(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror})") from None
    return folder


def _files(kinds: Collection[Kind]) -> dict[str, str]:
    """Return the text of each file, by its path in the template."""
    chosen = [part for kind, part in _PARTS.items() if kind in kinds]
    others = [word for kind, part in _PARTS.items() if kind not in kinds for word in part.words]
    modules_and_tests = dict.fromkeys(
        [f"{_PACKAGE}/{module}" for part in chosen for module in part.modules]
        + [f"tests/{part.test}" for part in chosen]
    )
    texts = {
        path: (_TEMPLATE / path).read_text("utf-8")
        for path in (*_PLAIN, *_SHARED, *modules_and_tests)
    }
    for path in _SHARED:
        lines = texts[path].splitlines(keepends=True)
        texts[path] = "".join(line for line in lines if not any(word in line for word in others))
    return texts


def _named(text: str, name: str) -> str:
    """Return a text or path of the template with the plugin's name in place of ``demo``."""
    names = {"demo": name, "_demo": f"_{name}".replace("-", "_")}
    names["DEMO"] = names["_demo"][1:].upper()
    return re.sub("_?demo|DEMO", lambda match: names[match[0]], text)
