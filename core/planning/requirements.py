"""Plugins that a job needs: the check that they are installed, and their statement in the job."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ..errors import UsageError
from .registry import Distribution, Registry


def check_installed(requirements: Iterable[str]) -> None:
    """Check that the required distributions are installed, in the required versions.

    Raises UsageError for the first that is not, with the command that installs it.
    """
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        installed = _installed_version(requirement.name)
        if installed is not None and _meets(installed, requirement):
            continue
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        wanted = f"{requirement.name}{extras}{requirement.specifier}"
        found = "it is not installed" if installed is None else f"{installed} is installed"
        raise UsageError(
            f"the job needs the plugin {wanted}, and {found}; if you trust it: "
            f"stylectl plugins install {shlex.quote(wanted)}"
        )


def stated_requirements(
    requirements: Collection[str], choices: Iterable[tuple[str, str]], registry: Registry
) -> tuple[str, ...]:
    """Return the requirements of a job, with the installed plugins of its `choices`.

    A choice is the job's key and a name. A plugin that is required already is not added.
    """
    used = {registry.choices[key].distribution(name) for key, name in choices}
    required = {canonicalize_name(Requirement(text).name) for text in requirements}
    stated = [
        _requirement(distribution)
        for distribution in used
        if distribution and canonicalize_name(distribution.name) not in required
    ]
    return (*requirements, *sorted(filter(None, stated)))


def _installed_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _meets(installed: str, requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(installed, prereleases=True)
    except InvalidVersion:
        return not requirement.specifier


def _requirement(distribution: Distribution) -> str:
    """Return ``NAME>=VERSION``; only the name, or nothing, if PEP 508 or 440 does not allow it."""
    try:
        text = f"{distribution.name}>={Version(distribution.version).public}"
    except InvalidVersion:
        text = distribution.name
    try:
        Requirement(text)
    except InvalidRequirement:
        return ""
    return text
