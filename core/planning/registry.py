"""The registry: the backends, backbones, loss terms and writers of all plugins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from ..errors import PluginError, UsageError, did_you_mean
from ..interfaces.specs import BackboneSpec, BackendSpec, LossTermSpec, Spec, WriterSpec

S = TypeVar("S", bound=Spec)


class Table(Generic[S]):
    """Contributions of one kind, by name, each with its origin (a plugin, in words)."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, tuple[S, str]] = {}

    def add(self, spec: S, origin: str) -> None:
        """Raises PluginError when another plugin has claimed the name."""
        if spec.name in self._entries:
            other = self._entries[spec.name][1]
            raise PluginError(
                f"the {self.kind} {spec.name!r} is claimed by both {other} and {origin}; "
                "switch one of them off with `no_plugin`"
            )
        self._entries[spec.name] = (spec, origin)

    def get(self, name: str) -> S:
        """Raises UsageError for an unknown name."""
        if name not in self._entries:
            raise UsageError(f"unknown {self.kind} {name!r}; {did_you_mean(name, self._entries)}")
        return self._entries[name][0]

    def origin(self, name: str) -> str:
        """The plugin of a known contribution, in words."""
        return self._entries[name][1]

    def label(self, name: str) -> str:
        """A known contribution in words, with its origin, for messages."""
        return f"the {self.kind} {name!r} of {self.origin(name)}"

    def __iter__(self) -> Iterator[S]:
        return (spec for spec, _ in self._entries.values())


@dataclass(frozen=True)
class Registry:
    """One table for each kind of contribution."""

    backends: Table[BackendSpec] = field(default_factory=lambda: Table("backend"))
    backbones: Table[BackboneSpec] = field(default_factory=lambda: Table("backbone"))
    terms: Table[LossTermSpec] = field(default_factory=lambda: Table("loss term"))
    writers: Table[WriterSpec] = field(default_factory=lambda: Table("writer"))

    def writer_for(self, path: Path) -> WriterSpec:
        """The writer of the path's suffix. Raises UsageError when there is none, and PluginError
        when two plugins claim it."""
        suffix = path.suffix.lower()
        claiming = [spec for spec in self.writers if suffix in spec.suffixes]
        if len(claiming) > 1:
            origins = " and ".join(self.writers.origin(spec.name) for spec in claiming)
            raise PluginError(f"the suffix {suffix} is claimed by both {origins}")
        if not claiming:
            known = [suffix for spec in self.writers for suffix in spec.suffixes]
            hint = did_you_mean(suffix, known) if suffix else f"there is {', '.join(known)}"
            raise UsageError(f"{path}: no writer for the suffix {suffix!r}; {hint}")
        return claiming[0]
