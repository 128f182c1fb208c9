"""Which plugins there are, and what each is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from ..core.errors import UsageError, did_you_mean
from ..core.shown import one_line
from .builtin import BUILT_IN

#: The entry-point group that names a distribution's plugins.
GROUP = "stylectl"

#: Where the built-in plugins come from, in words.
BUILT_IN_ORIGIN = "built-in"
_GIVEN_ORIGIN = "not installed"


@dataclass(frozen=True)
class FoundPlugin:
    """A plugin before it is imported.

    `name` is what it is called here, of all plugins alone; `short_name` is its own name, without
    what sets it apart from others: ``png`` for ``stylectl.png``. `origin` says where it comes from;
    `distribution` and `requires` are its distribution's name and what that requires.
    """

    name: str
    short_name: str
    origin: str
    load: Callable[[], object]
    distribution: str = ""
    requires: tuple[str, ...] = ()

    @property
    def is_built_in(self) -> bool:
        """Whether it is a part of stylectl."""
        return self.origin == BUILT_IN_ORIGIN

    @property
    def is_installed(self) -> bool:
        """Whether it comes from an installed distribution."""
        return self.origin not in (BUILT_IN_ORIGIN, _GIVEN_ORIGIN)

    @property
    def names(self) -> frozenset[str]:
        """Everything that it can be called by where no other plugin is meant."""
        return frozenset({self.name, self.short_name, f"{self.distribution}/{self.short_name}"})


def find_plugins(extra: Iterable[object] = ()) -> list[FoundPlugin]:
    """The built-in plugins, named ``stylectl.NAME``, the installed ones, and `extra` modules, in
    this order. Names that two distributions have become ``DISTRIBUTION/NAME``."""
    built_in = [
        FoundPlugin(
            f"stylectl.{name}", name, BUILT_IN_ORIGIN, partial(import_module, module, __package__)
        )
        for name, module in BUILT_IN.items()
    ]
    points = entry_points(group=GROUP)
    others = sorted(map(_installed, points), key=lambda plugin: (plugin.name, plugin.origin))
    others += [_given(plugin) for plugin in extra]
    count = Counter(plugin.name for plugin in (*built_in, *others))
    return built_in + [
        replace(plugin, name=f"{plugin.distribution}/{plugin.name}")
        if count[plugin.name] > 1
        else plugin
        for plugin in others
    ]


def named_plugin(name: str, found: Sequence[FoundPlugin]) -> FoundPlugin:
    """The plugin that someone calls `name`. Raises UsageError when there is none, or several."""
    exact = [plugin for plugin in found if plugin.name == name]
    meant = exact or [plugin for plugin in found if name in plugin.names]
    if len(meant) > 1:
        raise UsageError(f"{name!r} may be {' or '.join(plugin.name for plugin in meant)}")
    if not meant:
        known = [name for plugin in found for name in (plugin.name, plugin.short_name)]
        raise UsageError(f"no plugin {name!r}; {did_you_mean(name, dict.fromkeys(known))}")
    return meant[0]


def _installed(point: EntryPoint) -> FoundPlugin:
    name = one_line(point.name, 80)
    if point.dist is None:
        return FoundPlugin(name, name, one_line(point.value, 80), point.load)
    distribution = one_line(point.dist.name, 80)
    return FoundPlugin(
        name,
        name,
        one_line(f"{distribution} {point.dist.version}", 120),
        point.load,
        distribution,
        tuple(point.dist.requires or ()),
    )


def _given(plugin: object) -> FoundPlugin:
    name = one_line(getattr(plugin, "__name__", type(plugin).__name__).rpartition(".")[2], 80)
    return FoundPlugin(name, name, _GIVEN_ORIGIN, lambda: plugin, "given")
