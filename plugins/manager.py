"""Finding plugins, and gathering what they bring."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points

import pluggy

from ..core.errors import PluginError, StylectlError, UsageError, did_you_mean
from ..core.events import Event, RunFinished, RunStarted, StepDone
from ..core.registry import Registry
from ..core.specs import BackboneSpec, BackendSpec, LossTermSpec, Spec, WriterSpec
from . import backends, hookspecs
from .backbones import vgg19
from .losses import content, style, total_variation
from .writers import pillow

#: The built-in plugins go through the same hooks as everyone's.
_BUILT_IN = (backends, vgg19, content, style, total_variation, pillow)

#: Hook -> the registry's table that its contributions go to, and their type.
_HOOKS: dict[str, tuple[str, type[Spec]]] = {
    "stylectl_backends": ("backends", BackendSpec),
    "stylectl_backbones": ("backbones", BackboneSpec),
    "stylectl_loss_terms": ("terms", LossTermSpec),
    "stylectl_writers": ("writers", WriterSpec),
}


@dataclass(frozen=True)
class PluginRecord:
    """A plugin that was found: `problem` says why it is not used, or is None."""

    name: str
    origin: str
    problem: str | None = None


@dataclass(frozen=True)
class Plugins:
    """The plugins of one run: what they bring, and the ones that listen."""

    records: tuple[PluginRecord, ...]
    registry: Registry
    _manager: pluggy.PluginManager

    @property
    def problems(self) -> list[str]:
        """One sentence for each plugin that is broken."""
        return [
            f"the plugin {record.name} ({record.origin}) is left out: {record.problem}"
            for record in self.records
            if record.problem
        ]

    def listener(self, event: Event) -> None:
        """Passes a run's events to the plugins that listen. Raises PluginError when one fails."""
        try:
            match event:
                case RunStarted():
                    self._manager.hook.stylectl_run_started(event=event)
                case StepDone():
                    self._manager.hook.stylectl_step(event=event)
                case RunFinished():
                    self._manager.hook.stylectl_run_finished(event=event)
        except StylectlError:
            raise
        except Exception as error:
            raise PluginError(f"a plugin failed while it listened: {error!r}") from error


def load_plugins(switched_off: Collection[str] = ()) -> Plugins:
    """The built-in plugins and the installed ones (entry-point group ``stylectl``).

    The environment variable STYLECTL_PLUGINS, if set, lists the installed ones that may be loaded,
    separated by commas (empty: none). A broken plugin is recorded and left out. Raises UsageError
    when `switched_off` names an unknown plugin, and PluginError when two claim one name.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    registry = Registry()
    records = []
    found = [*_built_in(), *_installed()]
    names = [plugin.name for plugin in found]
    for name in switched_off:
        if name not in names:
            raise UsageError(f"--no-plugin: no plugin {name!r}; {did_you_mean(name, names)}")
    for plugin in found:
        if plugin.name not in switched_off:
            problem = _add(manager, registry, plugin)
            records.append(PluginRecord(plugin.name, plugin.origin, problem))
    return Plugins(tuple(records), registry, manager)


@dataclass(frozen=True)
class _Found:
    name: str
    origin: str
    load: Callable[[], object]


def _built_in() -> Iterator[_Found]:
    for module in _BUILT_IN:
        yield _Found(module.__name__.rpartition(".")[2], "built-in", partial(_same, module))


def _same(plugin: object) -> object:
    return plugin


def _installed() -> Iterator[_Found]:
    allowed = os.environ.get("STYLECTL_PLUGINS")
    for point in entry_points(group=hookspecs.PROJECT):
        if allowed is None or point.name in allowed.split(","):
            origin = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
            yield _Found(point.name, origin, point.load)


def _add(manager: pluggy.PluginManager, registry: Registry, plugin: _Found) -> str | None:
    """Register the plugin and what it brings. Returns what is wrong with it, or None."""
    try:
        manager.register(plugin.load(), name=plugin.name)
        manager.check_pending()  # a hook that does not exist is a misspelt one
        brought = [
            (table, spec)
            for hook, (table, kind) in _HOOKS.items()
            for spec in _specs(manager, plugin.name, hook, kind)
        ]
    except Exception as error:  # whatever a stranger's code raises
        if manager.has_plugin(plugin.name):
            manager.unregister(name=plugin.name)
        return f"{type(error).__name__}: {error}"
    for table, spec in brought:
        getattr(registry, table).add(spec, f"the plugin {plugin.name} ({plugin.origin})")
    return None


def _specs(manager: pluggy.PluginManager, name: str, hook: str, kind: type[Spec]) -> list[Spec]:
    others = [plugin for known, plugin in manager.list_name_plugin() if known != name]
    answers = manager.subset_hook_caller(hook, others)()
    specs = [spec for answer in answers for spec in answer]
    for spec in specs:
        if not isinstance(spec, kind):
            raise TypeError(f"{hook} must give {kind.__name__} objects, not {spec!r}")
    return specs
