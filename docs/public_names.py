"""Sphinx extension: holds the API reference to the public names, and shows them well.

- A public name that the reference lacks, or that has no documentation, is a warning, which
  `make docs` turns into an error.
- A constant or a type alias is documented by the ``#:`` comment above its definition.
- In signatures, defaults that Python cannot write are left out, and so are the annotations of
  pydantic models, which are meant for pydantic.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import stylectl
import stylectl.testing
from pydantic import BaseModel

if TYPE_CHECKING:
    from sphinx.application import Sphinx

REFERENCE = Path(__file__).parent / "reference"
MODULES = (stylectl, stylectl.testing)


def problems() -> Iterator[str]:
    """Yield a message for each public name that is not documented."""
    pages = "".join(page.read_text("utf-8") for page in sorted(REFERENCE.glob("*.md")))
    listed = set(re.findall(r"^\.\. auto\w+:: (\S+)$", pages, re.MULTILINE))
    for module in MODULES:
        for name in module.__all__:
            if f"{module.__name__}.{name}" not in listed:
                yield f"{module.__name__}.{name} is on no page of docs/reference"
            if not documentation(module, name):
                yield f"{module.__name__}.{name} has no docstring, or no #: comment above it"


def documentation(module: ModuleType, name: str) -> str:
    """Return the documentation of a public name, or an empty text.

    It is the docstring of a class or function, and the comment above anything else.
    """
    value = getattr(module, name)
    if not isinstance(value, ModuleType | type) and not inspect.isfunction(value):
        return _comment(module, name)
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    # Without a docstring, a dataclass has its signature in place of one.
    return "" if not text or text.startswith(f"{name}(") else inspect.cleandoc(text)


def _comment(module: ModuleType, name: str) -> str:
    """Return the ``#:`` comment above the definition of a public name."""
    source = Path(str(_home(module, name).__file__)).read_text("utf-8")
    found = re.search(rf"((?:^ *#:.*\n)+) *{re.escape(name)}\b", source, re.MULTILINE)
    return re.sub(r"^ *#: ?", "", found[1], flags=re.MULTILINE).strip() if found else ""


def _home(module: ModuleType, name: str) -> ModuleType:
    """Return the module that defines a public name of `module`, by the imports in its source."""
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return import_module("." * node.level + (node.module or ""), module.__package__)
    return module


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension to the build."""
    app.connect("env-check-consistency", _warn)
    app.connect("autodoc-process-docstring", _document)
    app.connect("autodoc-process-signature", _sign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _warn(*_event: object) -> None:
    from sphinx.util.logging import getLogger

    for problem in problems():
        getLogger(__name__).warning(problem)


def _document(
    _app: Sphinx, kind: str, full_name: str, _value: object, _options: object, lines: list[str]
) -> None:
    """Put the comment of a constant or alias in place of the docstring of its type."""
    module, _, name = full_name.rpartition(".")
    if kind == "data":
        lines[:] = [*documentation(import_module(module), name).splitlines(), ""]


def _sign(
    _app: Sphinx,
    kind: str,
    _name: str,
    value: Any,
    _options: object,
    signature: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    if kind == "class" and issubclass(value, BaseModel):
        signature, returned = str(inspect.Signature(_fields(value))), None
    if signature:
        signature = re.sub(r"<class '[\w.]*?(\w+)'>", r"\1", signature)
        signature = re.sub(r"<\w[^>]*>", "...", signature)
    return signature, returned


def _fields(model: type[BaseModel]) -> list[inspect.Parameter]:
    parameters = inspect.signature(model).parameters.values()
    return [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
