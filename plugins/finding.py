"""Search for plugins, and their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from ..core.errors import UsageError, did_you_mean
from ..core.shown import one_line
from .builtin import BUILT_IN
from .folders import load_file, plugin_files

#: The entry-point group that names a distribution's plugins.
GROUP = "stylectl"

#: Origin of the built-in plugins, in words.
BUILT_IN_ORIGIN = "built-in"
_EXTRA_ORIGIN = "not installed"


@dataclass(frozen=True)
class FoundPlugin:
    """A plugin before it is imported.

    - `name`: unique among all plugins.
    - `short_name`: without the prefix that makes it unique: ``png`` for ``stylectl.png``.
    - `origin`: its distribution and version, or another origin, in words.
    - `load`: imports it.
    - `place`: tells it from others of its name: its distribution, or the folder of its file.
    - `is_installed`: whether it comes from an installed distribution.
    - `version`, `requires`: of its distribution.
    """

    name: str
    short_name: str
    origin: str
    load: Callable[[], object]
    place: str = ""
    is_installed: bool = False
    version: str = ""
    requires: tuple[str, ...] = ()

    @property
    def is_built_in(self) -> bool:
        """True if the plugin is a part of stylectl."""
        return self.origin == BUILT_IN_ORIGIN

    @property
    def distribution(self) -> str:
        """Name of its distribution, or ""."""
        return self.place if self.is_installed else ""

    @property
    def names(self) -> frozenset[str]:
        """All names by which the plugin can be chosen where they are not ambiguous."""
        return frozenset({self.name, self.short_name, f"{self.place}/{self.short_name}"})


def find_plugins(extra: Iterable[object] = (), folders: Iterable[Path] = ()) -> list[FoundPlugin]:
    """Return the built-in plugins, the installed ones, those of `folders`, and `extra` modules.

    The built-in ones are named ``stylectl.NAME``. A name that two others have becomes
    ``DISTRIBUTION/NAME`` or ``FOLDER/NAME``.
    """
    built_in = [
        FoundPlugin(
            f"stylectl.{name}", name, BUILT_IN_ORIGIN, partial(import_module, module, __package__)
        )
        for name, module in BUILT_IN.items()
    ]
    points = entry_points(group=GROUP)
    others = sorted(map(_installed, points), key=lambda plugin: (plugin.name, plugin.origin))
    others += [_file_plugin(folder, path) for folder in folders for path in plugin_files(folder)]
    others += [_extra_plugin(module) for module in extra]
    count = Counter(plugin.name for plugin in (*built_in, *others))
    return built_in + [
        replace(plugin, name=f"{plugin.place}/{plugin.name}") if count[plugin.name] > 1 else plugin
        for plugin in others
    ]


def named_plugin(name: str, plugins: Sequence[FoundPlugin]) -> FoundPlugin:
    """Return the plugin that `name` stands for.

    Raises UsageError when there is none, or several.
    """
    exact = [plugin for plugin in plugins if plugin.name == name]
    matching = exact or [plugin for plugin in plugins if name in plugin.names]
    if len(matching) > 1:
        raise UsageError(f"{name!r} may be {' or '.join(plugin.name for plugin in matching)}")
    if not matching:
        known = [name for plugin in plugins for name in (plugin.name, plugin.short_name)]
        raise UsageError(f"no plugin {name!r}; {did_you_mean(name, dict.fromkeys(known))}")
    return matching[0]


def _installed(point: EntryPoint) -> FoundPlugin:
    name = one_line(point.name, 80)
    if point.dist is None:
        origin = one_line(point.value, 80)
        return FoundPlugin(name, name, origin, point.load, is_installed=True)
    distribution = one_line(point.dist.name, 80)
    return FoundPlugin(
        name,
        name,
        one_line(f"{distribution} {point.dist.version}", 120),
        point.load,
        distribution,
        is_installed=True,
        version=one_line(point.dist.version, 80),
        requires=tuple(point.dist.requires or ()),
    )


def _file_plugin(folder: Path, path: Path) -> FoundPlugin:
    name, place = one_line(path.stem, 80), one_line(folder.as_posix())
    return FoundPlugin(name, name, one_line(str(path)), partial(load_file, path), place)


def _extra_plugin(module: object) -> FoundPlugin:
    name = one_line(getattr(module, "__name__", type(module).__name__).rpartition(".")[2], 80)
    return FoundPlugin(name, name, _EXTRA_ORIGIN, lambda: module, "given")
