"""Changes of this environment by pip: plugins are installed and uninstalled."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from ...core.errors import StylectlError, UsageError
from ...core.shown import one_line
from ...plugins.finding import FoundPlugin, find_plugins, named_plugin
from ...plugins.folders import plugin_folders

_PREFIX = "stylectl-plugin-"
_ARCHIVES = (".whl", ".zip", ".tar.gz")
_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True)
class Change:
    """A command of pip, and what it does, in sentences; `distribution` is "" if it is unknown."""

    summary: str
    command: tuple[str, ...]
    distribution: str = ""


def installation(name: str) -> Change:
    """Return the change that installs a plugin.

    `name` is that of a plugin (``pastel``), of its distribution, with versions if wanted
    (``stylectl-plugin-pastel>=1.2``), or the path of a wheel, an archive or a project's folder.
    stylectl itself is named in the command with its version, so that pip cannot replace it.

    Raises UsageError for anything else.
    """
    _check_no_option(name)
    pinned = f"stylectl=={importlib.metadata.version('stylectl')}"
    end = (
        f"with what it requires, in {sys.prefix}; {pinned} stays as it is. A plugin's code runs "
        "whenever stylectl loads its plugins"
    )
    requirement = None if name.endswith(_ARCHIVES) or name.startswith(".") else _requirement(name)
    if requirement is None:
        path = Path(name)
        if not path.exists():
            raise UsageError(
                f"{name}: not the name of a plugin, such as pastel or 'stylectl-plugin-pastel>=1', "
                "and no such file or folder"
            )
        # pip takes a bare name for a distribution's.
        target = str(path) if path.is_absolute() else os.path.join(os.curdir, path)  # noqa: PTH118
        return Change(
            f"Installs {path}, {end}",
            _pip("install", target, pinned),
            _distribution_in(path),
        )
    source = "" if requirement.url else " from the package index"
    return Change(
        f"Installs {requirement}{source}, {end}",
        _pip("install", str(requirement), pinned),
        canonicalize_name(requirement.name),
    )


def uninstallation(name: str) -> Change:
    """Return the change that removes the distribution of a plugin.

    `name` is that of a plugin or of its distribution. Raises UsageError for a plugin that is built
    in or a file, and for a distribution that has no plugin.
    """
    _check_no_option(name)
    plugins = find_plugins(folders=plugin_folders()[0])
    distribution = _distribution(name, plugins)
    if not _DISTRIBUTION.fullmatch(distribution) or canonicalize_name(distribution) == "stylectl":
        raise UsageError(f"{name}: {distribution!r} is not a distribution that pip can remove")
    names = [plugin.name for plugin in _plugins_of(distribution, plugins)]
    return Change(
        f"Removes {distribution}, with the plugin{'s' * (len(names) > 1)} {', '.join(names)}, from "
        f"{sys.prefix}",
        _pip("uninstall", "--yes", distribution),
        canonicalize_name(distribution),
    )


def check_environment() -> None:
    """Raise StylectlError, with advice, for an environment that pip should not or cannot change."""
    in_environment = sys.prefix != sys.base_prefix
    marker = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    if not in_environment and marker.is_file():
        raise StylectlError(
            "this Python belongs to the operating system, which manages its packages; install "
            "stylectl and its plugins in a virtual environment: python3 -m venv FOLDER"
        )
    if find_spec("pip") is None:
        raise StylectlError(
            f"this environment has no pip; use uv pip install --python {sys.executable} NAME, or "
            f"{sys.executable} -m ensurepip"
        )


def run(change: Change, say: Callable[[str], None]) -> None:
    """Run the command, and `say` the lines that it prints, made safe to show.

    Lines about what is there already are left out. It asks nothing. Raises StylectlError if it
    fails.
    """
    with subprocess.Popen(
        change.command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith("Requirement already satisfied"):
                say(one_line(line, 500))
    if process.returncode != 0:
        raise StylectlError(f"pip failed with exit code {process.returncode}; see its lines above")


def plugins_of_a_new_process() -> list[dict[str, Any]]:
    """Return the rows of ``stylectl plugins list --json``, as a new process finds them.

    The names of distributions are canonical. Raises StylectlError if stylectl does not start.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", "stylectl", "plugins", "list", "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    try:
        rows: list[dict[str, Any]] = json.loads(done.stdout)["plugins"]
    except (ValueError, KeyError):
        (*_, last) = ["no output", *done.stderr.split("\n")]
        raise StylectlError(f"stylectl no longer starts: {one_line(last)}") from None
    for row in rows:
        row["distribution"] = canonicalize_name(row["distribution"])
    return rows


def _check_no_option(name: str) -> None:
    if not name or name.startswith("-"):
        raise UsageError(f"{name!r}: not the name of a plugin: it is empty or begins with a hyphen")


def _requirement(name: str) -> Requirement | None:
    """Return the requirement of a plugin's distribution; None for text that is not one."""
    try:
        requirement = Requirement(name)
    except InvalidRequirement:
        return None
    if not canonicalize_name(requirement.name).startswith("stylectl-"):
        requirement.name = f"{_PREFIX}{requirement.name}"
    return requirement


def _distribution_in(path: Path) -> str:
    """Return the canonical name of the distribution in a wheel or a project's folder, or ""."""
    try:
        if path.is_dir():
            project = tomllib.loads((path / "pyproject.toml").read_text("utf-8"))["project"]
            return canonicalize_name(project["name"])
        return parse_wheel_filename(path.name)[0]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def _distribution(name: str, plugins: Sequence[FoundPlugin]) -> str:
    for candidate in (name, f"{_PREFIX}{name}"):
        for plugin in _plugins_of(candidate, plugins):
            return plugin.distribution
    try:
        plugin = named_plugin(name, plugins)
    except UsageError:
        if any(name in plugin.names for plugin in plugins):  # of several
            raise
        if _is_installed(name):
            raise UsageError(
                f"{name} is not a plugin of stylectl; to remove it: pip uninstall {name}"
            ) from None
        raise UsageError(f"no plugin {name!r} is installed; see stylectl plugins list") from None
    if plugin.is_built_in:
        raise UsageError(f"{plugin.name} is a part of stylectl; `no_plugin` leaves it out of a run")
    if not plugin.distribution:
        raise UsageError(f"{plugin.name} is not installed by pip: remove {plugin.origin}")
    return plugin.distribution


def _plugins_of(distribution: str, plugins: Sequence[FoundPlugin]) -> list[FoundPlugin]:
    wanted = canonicalize_name(distribution)
    return [
        plugin
        for plugin in plugins
        if plugin.distribution and canonicalize_name(plugin.distribution) == wanted
    ]


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False
    return True


def _pip(*arguments: str) -> tuple[str, ...]:
    # -P: no modules from the current folder, where a file pip.py may lie.
    return (sys.executable, "-P", "-m", "pip", *arguments)
