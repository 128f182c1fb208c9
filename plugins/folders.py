"""Plugins of one file or package, in folders that the user names; nothing else is searched."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from ..core.errors import PluginError, UsageError
from ..core.files import status_of
from ..core.shown import one_line

#: Environment variable with further folders, separated as in PATH.
VARIABLE = "STYLECTL_PLUGINS_DIR"

_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_+-]*")


def plugin_folders(named: Iterable[Path] = ()) -> tuple[list[Path], list[str]]:
    """Return the `named` folders and those of STYLECTL_PLUGINS_DIR, each once, and problems.

    The problems are sentences about entries of the variable that are left out. It has absolute
    paths, so that what is executed does not depend on the current folder.

    Raises UsageError when one of the `named` is not a folder that can be read, or has no plugin.
    """
    folders: dict[Path, Path] = {}
    for folder in named:
        if problem := _problem(folder):
            raise UsageError(f"`plugins_dir`: {problem}")
        if not plugin_files(folder):
            raise UsageError(f"`plugins_dir`: {folder}: there is no plugin, no file NAME.py")
        folders.setdefault(folder.resolve(), folder)
    problems = []
    for text in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        folder = Path(text)
        problem = _problem(folder) if folder.is_absolute() else f"{text}: not an absolute path"
        if problem:
            problems.append(one_line(f"{VARIABLE}: {problem}"))
        else:
            folders.setdefault(folder.resolve(), folder)
    return list(folders.values()), problems


def plugin_files(folder: Path) -> list[Path]:
    """Return the plugins in a folder: files ``NAME.py``, and packages ``NAME/__init__.py``.

    A NAME that begins with ``_`` or ``.`` is no plugin.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.name[0] not in "_."
        and (_is_file(path / "__init__.py") or (path.suffix == ".py" and _is_file(path)))
    )


def load_file(path: Path) -> ModuleType:
    """Import a plugin's file or package, under a name that hides no other module.

    It is executed once in a process, as with any import. Raises PluginError for a name that no
    plugin can have, and what its code raises.
    """
    if not _NAME.fullmatch(path.stem):
        raise PluginError(
            "the name of a plugin's file has letters and digits of ASCII, '_', '-' and '+', and "
            "begins with none of the last two"
        )
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    name = f"stylectl_plugin_file_{digest[:12]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    packaged = path.is_dir()
    spec = spec_from_file_location(
        name,
        path / "__init__.py" if packaged else path,
        submodule_search_locations=[str(path)] if packaged else None,
    )
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # as pydantic and dataclasses look up annotations there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _is_file(path: Path) -> bool:
    status = status_of(path)
    return status is not None and stat.S_ISREG(status.st_mode)


def _problem(folder: Path) -> str:
    try:
        next(folder.iterdir(), None)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return f"{folder}: not a folder that can be read ({reason})"
    return ""
