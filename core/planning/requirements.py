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


def check_installed(requirements: Iterable[str], registry: Registry) -> None:
    """Check that the required distributions are installed, in the required versions, and loaded.

    Raises UsageError for those that are not, with the commands that install them.
    """
    missing: dict[str, str] = {}
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        installed = _installed_version(requirement.name)
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        wanted = f"{requirement.name}{extras}{requirement.specifier}"
        if installed is None:
            missing[wanted] = "it is not installed"
        elif not _meets(installed, requirement):
            missing[wanted] = f"{installed} is installed"
        elif reason := registry.left_out.get(canonicalize_name(requirement.name)):
            raise UsageError(f"the job needs the plugin {wanted}, which is left out: {reason}")
    if missing:
        needs = [f"the job needs the plugin {name}, and {state}" for name, state in missing.items()]
        commands = [f"stylectl plugins install {shlex.quote(name)}" for name in missing]
        trust = "it" if len(missing) == 1 else "them"
        raise UsageError(f"{'; '.join(needs)}; if you trust {trust}: {' && '.join(commands)}")


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
