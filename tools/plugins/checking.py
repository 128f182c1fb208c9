"""Checks of one plugin: what the host finds, and the checks of `stylectl.testing`."""

from __future__ import annotations

import importlib.metadata
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unittest import SkipTest

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ...core.attribution import labelled
from ...core.errors import PluginError, StylectlError
from ...core.interfaces.specs import Spec, WriterSpec
from ...core.planning.registry import Registry
from ...core.shown import error_line, one_line
from ...plugins.listening import HOOKS
from ...plugins.manager import PluginRecord, Plugins
from .kit import kit_checks


@dataclass(frozen=True)
class Check:
    """Outcome of one check; `remark` says why it failed, or what a note is about."""

    subject: str
    what: str
    outcome: Literal["ok", "failed", "note"]
    remark: str = ""


def check_plugin(record: PluginRecord, plugins: Plugins) -> Iterator[Check]:
    """Check a plugin, and yield the outcome of each check when it is done.

    Plugins may print: that goes to stderr. KeyboardInterrupt passes.
    """
    subject = "plugin"
    if record.state != "loaded":
        yield Check(subject, "is loaded", "failed", record.reason)
        return
    yield Check(subject, "is loaded", "ok")
    if record.distribution and not _states_versions(record.distribution):
        remark = "its distribution does not state the versions of stylectl that it was tested with"
        yield Check(subject, "versions", "note", remark)
    listens = [hook for hook in HOOKS if plugins.has_hook(record.name, hook)]
    for table, spec in record.contributions:
        yield from _check_contribution(table, spec, plugins.registry)
    for hook in listens:
        yield Check(f"hook {hook}", "is called", "note", "not checked: a run calls it")


def _states_versions(distribution: str) -> bool:
    for text in importlib.metadata.requires(distribution) or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) == "stylectl":
            return bool(requirement.specifier)
    return False


def _check_contribution(table: str, spec: Spec, registry: Registry) -> Iterator[Check]:
    contributions = getattr(registry, table)
    subject = f"{contributions.kind} {spec.name}"
    try:
        contributions.get(spec.name)
    except PluginError as error:
        yield Check(subject, "has a name of its own", "failed", str(error))
    if isinstance(spec, WriterSpec):
        yield from _check_suffixes(subject, spec, registry)
    required = [name for name, field in spec.options.model_fields.items() if field.is_required()]
    if required:
        remark = f"not checked: the option {required[0]!r} has no default"
        yield Check(subject, "contract", "note", remark)
        return
    for check in kit_checks(table, spec):
        try:
            with (
                redirect_stdout(sys.stderr),
                labelled(contributions.origin(spec.name)),
                tempfile.TemporaryDirectory() as folder,
            ):
                remark = check.run(Path(folder))
        except SkipTest as error:
            yield Check(subject, check.name, "note", f"not checked: {one_line(str(error))}")
        except (AssertionError, StylectlError) as error:
            yield Check(subject, check.name, "failed", one_line(str(error)))
        except (Exception, SystemExit) as error:  # a plugin's code may raise anything
            yield Check(subject, check.name, "failed", error_line(error))
        else:
            yield Check(subject, check.name, "ok", remark)


def _check_suffixes(subject: str, spec: WriterSpec[Any], registry: Registry) -> Iterator[Check]:
    """Yield a note for each suffix that another writer has as well."""
    for suffix in spec.suffixes:
        others = [
            registry.writers.label(other.name)
            for other in registry.writers_for(Path(f"out{suffix}"))
            if other.name != spec.name
        ]
        if others:
            remark = f"{others[0]} has it too; -o {spec.name}:out{suffix} chooses this one"
            yield Check(subject, f"suffix {suffix}", "note", remark)
