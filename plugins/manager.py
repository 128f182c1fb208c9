"""Loading of plugins, and collection of their contributions."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pluggy
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ..backends.offline import switch_off_telemetry
from ..core.attribution import labelled
from ..core.errors import PluginError, StylectlError, UsageError, did_you_mean
from ..core.interfaces.specs import (
    BackboneSpec,
    BackendSpec,
    FlowSpec,
    InitializerSpec,
    LossTermSpec,
    OptimizerSpec,
    ParametrizationSpec,
    PresetSpec,
    Spec,
    WriterSpec,
)
from ..core.planning.registry import Distribution, Registry
from ..core.shown import error_line, one_line
from . import hookspecs
from .finding import FoundPlugin, find_plugins, named_plugin
from .folders import plugin_folders

_KNOWN_HOOKS = [name for name in vars(hookspecs) if name.startswith(f"{hookspecs.PROJECT}_")]

#: Hook -> the registry's table for its contributions, and their type.
_HOOKS: dict[str, tuple[str, type[Spec]]] = {
    "stylectl_backends": ("backends", BackendSpec),
    "stylectl_backbones": ("backbones", BackboneSpec),
    "stylectl_loss_terms": ("terms", LossTermSpec),
    "stylectl_writers": ("writers", WriterSpec),
    "stylectl_optimizers": ("optimizers", OptimizerSpec),
    "stylectl_initializers": ("initializers", InitializerSpec),
    "stylectl_parametrizations": ("parametrizations", ParametrizationSpec),
    "stylectl_presets": ("presets", PresetSpec),
    "stylectl_flows": ("flows", FlowSpec),
}


#: Specs of one plugin, each with the name of its table in the registry.
Contributions = tuple[tuple[str, Spec], ...]


@dataclass(frozen=True)
class PluginRecord:
    """State of a plugin that was found; `reason` says why it is not loaded.

    `distribution` and `version` are those of an installed one.
    """

    name: str
    origin: str
    state: Literal["loaded", "skipped", "broken"]
    reason: str = ""
    distribution: str = ""
    version: str = ""
    contributions: Contributions = ()


@dataclass(frozen=True)
class Plugins:
    """Plugins of a process, with their contributions and hooks.

    `problems` has a sentence for each broken plugin, and for each unknown name in STYLECTL_PLUGINS.
    """

    records: tuple[PluginRecord, ...]
    registry: Registry
    problems: tuple[str, ...]
    _manager: pluggy.PluginManager

    def has_hook(self, name: str, hook: str) -> bool:
        """Return whether a loaded plugin has the hook."""
        return _has_hook(self._manager, name, hook)

    def call(self, name: str, hook: str, **arguments: object) -> list[Any]:
        """Call the hook of one plugin alone, so that its errors can be attributed to it."""
        return _call(self._manager, name, hook, **arguments)


def load_plugins(
    switched_off: Collection[str] = (),
    extra: Iterable[object] = (),
    folders: Iterable[Path] = (),
) -> Plugins:
    """Load the built-in plugins, the installed ones, those of `folders`, and `extra` modules.

    The installed ones have entry points in the group ``stylectl``; those of `folders`, and of the
    folders in the environment variable STYLECTL_PLUGINS_DIR, are files ``NAME.py``; `extra` are
    modules that are not installed, for tests. The environment variable STYLECTL_PLUGINS, if set,
    lists the installed plugins that may be loaded, separated by commas (empty: none);
    STYLECTL_TRACE_PLUGINS=1 shows each call of a hook on stderr. A broken plugin is recorded and
    left out. The standard output of plugins while they are loaded goes to stderr.

    Raises UsageError when a name in `switched_off` is unknown or stands for several plugins, or
    when one of the `folders` has no plugin.
    """
    switch_off_telemetry()  # a plugin may load ONNX Runtime
    paths, folder_problems = plugin_folders(folders)
    plugins = find_plugins(extra, paths)
    off = {_switched_off(name, plugins).name for name in switched_off}
    allowed, problems = _allowed(plugins)
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    if os.environ.get("STYLECTL_TRACE_PLUGINS") == "1":
        manager.trace.root.setwriter(sys.stderr.write)
        manager.enable_tracing()
    registry = Registry()
    records = []
    for plugin in plugins:
        contributions: Contributions = ()
        state: Literal["loaded", "skipped", "broken"] = "skipped"
        if plugin.name in off:
            reason = "switched off"
        elif plugin.name not in allowed:
            reason = "not named in STYLECTL_PLUGINS"
        else:
            reason, contributions = _add(manager, registry, plugin)
            state = "broken" if reason else "loaded"
        records.append(
            PluginRecord(
                plugin.name,
                plugin.origin,
                state,
                reason,
                plugin.distribution,
                plugin.version,
                contributions,
            )
        )
    loaded = {record.distribution for record in records if record.state == "loaded"}
    registry.left_out.update(
        (canonicalize_name(record.distribution), record.reason)
        for record in records
        if record.distribution and record.distribution not in loaded
    )
    broken = [
        f"the plugin {record.name} ({record.origin}) is left out: {record.reason}"
        for record in records
        if record.state == "broken"
    ]
    return Plugins(tuple(records), registry, (*broken, *folder_problems, *problems), manager)


def _switched_off(name: str, plugins: list[FoundPlugin]) -> FoundPlugin:
    try:
        return named_plugin(name, plugins)
    except UsageError as error:
        raise error.reworded(f"`no_plugin`: {error}") from None


def _allowed(plugins: list[FoundPlugin]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the names of the plugins that STYLECTL_PLUGINS allows, and the errors in its text."""
    listed = os.environ.get("STYLECTL_PLUGINS")
    if listed is None:
        return frozenset(plugin.name for plugin in plugins), ()
    installed = [plugin for plugin in plugins if plugin.is_installed]
    allowed = {plugin.name for plugin in plugins if not plugin.is_installed}
    problems = []
    for name in filter(None, map(str.strip, listed.split(","))):
        try:
            allowed.add(named_plugin(name, installed).name)
        except UsageError as error:
            problems.append(f"STYLECTL_PLUGINS: {error}")
    return frozenset(allowed), tuple(problems)


def _add(
    manager: pluggy.PluginManager, registry: Registry, plugin: FoundPlugin
) -> tuple[str, Contributions]:
    """Register the plugin; return the reason for a failure, or "", and its contributions."""
    if manager.has_plugin(plugin.name):
        return "another plugin has its name", ()
    label = f"the plugin {plugin.name} ({plugin.origin})"
    try:
        _check_version(plugin)
        with redirect_stdout(sys.stderr), labelled(label):
            module = plugin.load()
            if module is None:
                raise TypeError("its entry point is None, not a module")
            _check_api_version(module)
            manager.register(module, name=plugin.name)
            _check_hooks(manager, plugin.name)
            contributions = tuple(
                (table, spec)
                for hook, (table, kind) in _HOOKS.items()
                for spec in _specs(manager, plugin.name, hook, kind)
            )
        _check_names(contributions, registry)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a third party's code may raise anything
        if manager.has_plugin(plugin.name):
            manager.unregister(name=plugin.name)
        reason = one_line(str(error)) if isinstance(error, StylectlError) else error_line(error)
        return reason, ()
    distribution = Distribution(plugin.distribution, plugin.version) if plugin.version else None
    for table, spec in contributions:
        getattr(registry, table).add(spec, label, plugin.is_built_in, distribution)
    return "", contributions


def _check_version(plugin: FoundPlugin) -> None:
    """Raise PluginError when the plugin's distribution requires another version of stylectl."""
    installed = version(hookspecs.PROJECT)
    for text in plugin.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # pip reports it
        if canonicalize_name(requirement.name) != hookspecs.PROJECT:
            continue
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and not requirement.specifier.contains(installed, prereleases=True):
            raise PluginError(
                f"it requires stylectl{requirement.specifier}, and this is stylectl {installed}"
            )


def _check_api_version(module: object) -> None:
    """Raise PluginError when the plugin states a version of the interface that is not supported."""
    needed = getattr(module, "STYLECTL_API_VERSION", hookspecs.API_VERSION)
    supported = hookspecs.SUPPORTED_API_VERSIONS
    if needed not in supported:
        raise PluginError(
            f"it needs version {needed!r} of the plugin interface, and this stylectl has the "
            f"versions {', '.join(map(str, supported))}"
        )


def _check_hooks(manager: pluggy.PluginManager, name: str) -> None:
    """Raise TypeError for an unknown hook, and for a function that lacks the mark of a hook.

    An unknown hook that is marked ``optionalhook`` is allowed. A plugin without hooks is an error.
    """
    plugin = manager.get_plugin(name)
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        optional = [hook.optionalhook for hook in caller.get_hookimpls() if hook.plugin is plugin]
        if not caller.has_spec() and not all(optional):
            raise TypeError(
                f"there is no hook {caller.name!r}; {did_you_mean(caller.name, _KNOWN_HOOKS)} "
                f"(misspelt, or the plugin is made for another stylectl than {version('stylectl')})"
            )
    marked = {caller.name for caller in callers}
    for hook in _KNOWN_HOOKS:
        if hook not in marked and callable(getattr(plugin, hook, None)):
            raise TypeError(f"{hook} is not marked @hookimpl, or by its mark in stylectl.hooks")
    if not callers:
        raise TypeError("no function in it is marked as a hook, by its mark in stylectl.hooks")


def _check_names(contributions: Contributions, registry: Registry) -> None:
    """Raise PluginError for a name that a plugin has twice, or that a built-in one has."""
    names: set[tuple[str, str]] = set()
    for table, spec in contributions:
        contributed = getattr(registry, table)
        if (table, spec.name) in names:
            raise PluginError(f"it contributes the {contributed.kind} {spec.name!r} twice")
        names.add((table, spec.name))
        contributed.check_free(spec)


def _specs(manager: pluggy.PluginManager, name: str, hook: str, kind: type[Spec]) -> list[Spec]:
    results = _call(manager, name, hook)
    wanted = f"{hook} must return or yield {kind.__name__} objects, such as a list of them"
    if not results and _has_hook(manager, name, hook):
        raise TypeError(f"{wanted}, not None")
    for result in results:
        if not isinstance(result, Iterable):
            raise TypeError(f"{wanted}, not {type(result).__name__}")
    specs = [spec for result in results for spec in result]
    for spec in specs:
        if not isinstance(spec, kind):
            raise TypeError(f"{wanted}, not {spec!r}")
    return specs


def _has_hook(manager: pluggy.PluginManager, name: str, hook: str) -> bool:
    callers = manager.get_hookcallers(manager.get_plugin(name)) or []
    return hook in [caller.name for caller in callers]


def _call(manager: pluggy.PluginManager, name: str, hook: str, **arguments: object) -> list[Any]:
    """Call the hook of one plugin alone, so that its errors can be attributed to it."""
    others = [plugin for known, plugin in manager.list_name_plugin() if known != name]
    results: list[Any] = manager.subset_hook_caller(hook, others)(**arguments)
    return results
