"""Finding plugins, and gathering their contributions."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points, version
from typing import Any, Literal

import pluggy

from ..core.errors import PluginError, UsageError, did_you_mean
from ..core.interfaces.specs import BackboneSpec, BackendSpec, LossTermSpec, Spec, WriterSpec
from ..core.planning.registry import Registry
from . import hookspecs
from .builtin import BUILT_IN

_BUILT_IN_ORIGIN = "built-in"

#: Hook -> the registry's table that its contributions go to, and their type.
_HOOKS: dict[str, tuple[str, type[Spec]]] = {
    "stylectl_backends": ("backends", BackendSpec),
    "stylectl_backbones": ("backbones", BackboneSpec),
    "stylectl_loss_terms": ("terms", LossTermSpec),
    "stylectl_writers": ("writers", WriterSpec),
}


@dataclass(frozen=True)
class PluginRecord:
    """A plugin that was found, and what became of it; `reason` says why it is not loaded."""

    name: str
    origin: str
    state: Literal["loaded", "skipped", "broken"]
    reason: str = ""


@dataclass(frozen=True)
class Plugins:
    """The plugins of a process: their contributions, and those that listen. `problems` has a
    sentence for each that is broken, and for each unknown name in STYLECTL_PLUGINS."""

    records: tuple[PluginRecord, ...]
    registry: Registry
    problems: tuple[str, ...]
    _manager: pluggy.PluginManager

    def has_hook(self, name: str, hook: str) -> bool:
        """Whether a loaded plugin has the hook."""
        return _has_hook(self._manager, name, hook)

    def call(self, name: str, hook: str, **arguments: object) -> list[Any]:
        """Call the hook of one plugin alone, so that its errors can be attributed to it."""
        return _call(self._manager, name, hook, **arguments)


def load_plugins(switched_off: Collection[str] = ()) -> Plugins:
    """The built-in plugins and the installed ones (entry-point group ``stylectl``).

    The environment variable STYLECTL_PLUGINS, if set, lists the installed ones that may be loaded,
    separated by commas (empty: none); STYLECTL_TRACE_PLUGINS=1 shows each call of a hook on stderr.
    A broken plugin is recorded and left out. Raises UsageError
    when `switched_off` names an unknown plugin, and PluginError when two claim one name.
    """
    found = [*_built_in(), *_installed()]
    names = [plugin.name for plugin in found]
    for name in switched_off:
        if name not in names:
            raise UsageError(f"`no_plugin`: no plugin {name!r}; {did_you_mean(name, names)}")
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    if os.environ.get("STYLECTL_TRACE_PLUGINS") == "1":
        manager.trace.root.setwriter(sys.stderr.write)
        manager.enable_tracing()
    registry = Registry()
    used: dict[str, _Found] = {}
    records = []
    for plugin in found:
        reason = "switched off" if plugin.name in switched_off else _not_listed(plugin)
        if reason:
            records.append(PluginRecord(plugin.name, plugin.origin, "skipped", reason))
            continue
        if plugin.name in used:
            raise PluginError(
                f"the plugin name {plugin.name!r} is claimed by both {used[plugin.name].origin} "
                f"and {plugin.origin}; uninstall one of them"
            )
        used[plugin.name] = plugin
        problem = _add(manager, registry, plugin)
        state: Literal["loaded", "broken"] = "broken" if problem else "loaded"
        records.append(PluginRecord(plugin.name, plugin.origin, state, problem))
    problems = [
        f"the plugin {record.name} ({record.origin}) is left out: {record.reason}"
        for record in records
        if record.state == "broken"
    ]
    problems += [
        f"STYLECTL_PLUGINS names {name!r}; {did_you_mean(name, names)}"
        for name in _allowed() or ()
        if name not in names
    ]
    return Plugins(tuple(records), registry, tuple(problems), manager)


@dataclass(frozen=True)
class _Found:
    name: str
    origin: str
    load: Callable[[], object]


def _built_in() -> Iterator[_Found]:
    for name, module in BUILT_IN.items():
        yield _Found(name, _BUILT_IN_ORIGIN, partial(import_module, module, __package__))


def _installed() -> Iterator[_Found]:
    for point in entry_points(group=hookspecs.PROJECT):
        origin = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        yield _Found(point.name, origin, point.load)


def _not_listed(plugin: _Found) -> str:
    """Why STYLECTL_PLUGINS keeps the plugin out, or nothing."""
    allowed = _allowed()
    if allowed is None or plugin.origin == _BUILT_IN_ORIGIN or plugin.name in allowed:
        return ""
    return "not named in STYLECTL_PLUGINS"


def _allowed() -> list[str] | None:
    """The names in STYLECTL_PLUGINS; None when it is not set."""
    listed = os.environ.get("STYLECTL_PLUGINS")
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]


def _add(manager: pluggy.PluginManager, registry: Registry, plugin: _Found) -> str:
    """Register the plugin and what it brings. Returns what is wrong with it, or nothing."""
    try:
        manager.register(plugin.load(), name=plugin.name)
        _check_hooks(manager, plugin.name)
        brought = [
            (table, spec)
            for hook, (table, kind) in _HOOKS.items()
            for spec in _specs(manager, plugin.name, hook, kind)
        ]
    except (Exception, SystemExit) as error:  # whatever a stranger's code raises
        if manager.has_plugin(plugin.name):
            manager.unregister(name=plugin.name)
        return f"{type(error).__name__}: {error}"
    for table, spec in brought:
        getattr(registry, table).add(spec, f"the plugin {plugin.name} ({plugin.origin})")
    return ""


def _check_hooks(manager: pluggy.PluginManager, name: str) -> None:
    for caller in manager.get_hookcallers(manager.get_plugin(name)) or []:
        if not caller.has_spec():
            raise TypeError(
                f"there is no hook {caller.name!r}; {did_you_mean(caller.name, _known_hooks())} "
                f"(misspelt, or the plugin is made for another stylectl than {version('stylectl')})"
            )


def _known_hooks() -> list[str]:
    return [name for name in vars(hookspecs) if name.startswith(f"{hookspecs.PROJECT}_")]


def _specs(manager: pluggy.PluginManager, name: str, hook: str, kind: type[Spec]) -> list[Spec]:
    answers = _call(manager, name, hook)
    if not answers and _has_hook(manager, name, hook):
        raise TypeError(f"{hook} must give {kind.__name__} objects, not None")
    specs = [spec for answer in answers for spec in answer]
    for spec in specs:
        if not isinstance(spec, kind):
            raise TypeError(f"{hook} must give {kind.__name__} objects, not {spec!r}")
    return specs


def _has_hook(manager: pluggy.PluginManager, name: str, hook: str) -> bool:
    callers = manager.get_hookcallers(manager.get_plugin(name)) or []
    return hook in [caller.name for caller in callers]


def _call(manager: pluggy.PluginManager, name: str, hook: str, **arguments: object) -> list[Any]:
    """Call the hook of one plugin alone, so that its errors can be attributed to it."""
    others = [plugin for known, plugin in manager.list_name_plugin() if known != name]
    answers: list[Any] = manager.subset_hook_caller(hook, others)(**arguments)
    return answers
