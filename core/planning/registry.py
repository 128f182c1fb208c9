"""The registry: all contributions of the plugins that a job can name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from ..errors import PluginError, UsageError, did_you_mean
from ..interfaces.specs import (
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
from ..job.paths import OptionModels

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Distribution:
    """An installed distribution that a plugin belongs to."""

    name: str
    version: str


class Table(Generic[S]):
    """Contributions of one kind, by name, each with its origin (a plugin, in words).

    Those of a third party's installed plugin have a distribution as well. The name of a built-in
    contribution cannot be taken; a name that two other plugins contribute is an error when it is
    used.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, tuple[S, str]] = {}
        self._built_in: set[str] = set()
        self._distributions: dict[str, Distribution] = {}
        self._rivals: dict[str, str] = {}

    def check_free(self, spec: S) -> None:
        """Raise PluginError if the spec has the name of a built-in contribution."""
        if spec.name in self._built_in:
            raise PluginError(
                f"the {self.kind} {spec.name!r} is built in; the plugin must use another name"
            )

    def add(
        self,
        spec: S,
        origin: str,
        built_in: bool = False,
        distribution: Distribution | None = None,
    ) -> None:
        """Add a contribution that has passed `check_free`."""
        if spec.name in self._entries:
            self._rivals[spec.name] = origin
            return
        self._entries[spec.name] = (spec, origin)
        if built_in:
            self._built_in.add(spec.name)
        if distribution is not None:
            self._distributions[spec.name] = distribution

    def get(self, name: str) -> S:
        """Return the contribution called `name`.

        Raises UsageError for an unknown name, and PluginError for one that two plugins contribute.
        """
        if name not in self._entries:
            raise UsageError(f"unknown {self.kind} {name!r}; {did_you_mean(name, self._entries)}")
        spec, origin = self._entries[name]
        if name in self._rivals:
            raise PluginError(
                f"the {self.kind} {name!r} is claimed by both {origin} and {self._rivals[name]}; "
                "switch one of them off with `no_plugin`"
            )
        return spec

    def is_built_in(self, name: str) -> bool:
        """Return whether a contribution is a part of stylectl."""
        return name in self._built_in

    def origin(self, name: str) -> str:
        """Return the plugin of a known contribution, in words."""
        return self._entries[name][1]

    def distribution(self, name: str) -> Distribution | None:
        """Return the distribution of a known contribution.

        It is None for a built-in one, and for that of a plugin that is not installed.
        """
        return self._distributions.get(name)

    def label(self, name: str) -> str:
        """Return a known contribution in words, with its origin, for messages."""
        return f"the {self.kind} {name!r} of {self.origin(name)}"

    def __iter__(self) -> Iterator[S]:
        return (spec for spec, _ in self._entries.values())


@dataclass(frozen=True)
class Registry:
    """One table for each kind of contribution.

    `left_out` has the reason for each installed distribution whose plugins are not loaded, by its
    canonical name.
    """

    backends: Table[BackendSpec[Any]] = field(default_factory=lambda: Table("backend"))
    backbones: Table[BackboneSpec[Any]] = field(default_factory=lambda: Table("backbone"))
    terms: Table[LossTermSpec[Any]] = field(default_factory=lambda: Table("loss term"))
    writers: Table[WriterSpec[Any]] = field(default_factory=lambda: Table("writer"))
    optimizers: Table[OptimizerSpec] = field(default_factory=lambda: Table("optimizer"))
    initializers: Table[InitializerSpec] = field(default_factory=lambda: Table("initialiser"))
    parametrizations: Table[ParametrizationSpec] = field(
        default_factory=lambda: Table("parametrisation")
    )
    presets: Table[PresetSpec] = field(default_factory=lambda: Table("preset"))
    flows: Table[FlowSpec[Any]] = field(default_factory=lambda: Table("optical flow"))
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def tables(self) -> tuple[Table[Any], ...]:
        """All tables of the registry."""
        values = (getattr(self, field.name) for field in fields(self))
        return tuple(value for value in values if isinstance(value, Table))

    @property
    def choices(self) -> Mapping[str, Table[Any]]:
        """Tables of the job's choices, by the job's key."""
        return {
            "backend": self.backends,
            "backbone": self.backbones,
            "init": self.initializers,
            "optimizer": self.optimizers,
            "parametrization": self.parametrizations,
            "terms": self.terms,
        }

    @property
    def option_models(self) -> OptionModels:
        """Models of the options of all installed choices."""
        return {
            (key, spec.name): spec.options for key, table in self.choices.items() for spec in table
        }

    def writers_for(self, path: Path) -> list[WriterSpec[Any]]:
        """Return the writers of the path's suffix, the built-in ones first.

        Raises UsageError when there is none.
        """
        suffix = path.suffix.lower()
        claiming = [spec for spec in self.writers if suffix in spec.suffixes]
        if not claiming:
            known = [suffix for spec in self.writers for suffix in spec.suffixes]
            hint = did_you_mean(suffix, known) if suffix else f"there is {', '.join(known)}"
            raise UsageError(f"{path}: no writer for the suffix {suffix!r}; {hint}")
        return sorted(claiming, key=lambda spec: not self.writers.is_built_in(spec.name))

    def writer_for(self, path: Path, wanted: Collection[str] = ()) -> WriterSpec[Any]:
        """Return the writer of the path's suffix.

        Of several writers it is the one whose name is in `wanted`, or else the built-in one. Raises
        UsageError when there is none, and when several remain.
        """
        claiming = self.writers_for(path)
        chosen = [spec for spec in claiming if spec.name in wanted] or claiming
        unambiguous = len(chosen) == 1 or (
            chosen is claiming and self.writers.is_built_in(claiming[0].name)
        )
        if not unambiguous:
            labels = " and ".join(self.writers.label(spec.name) for spec in chosen)
            names = " or ".join(f"`writer={spec.name}`" for spec in chosen)
            raise UsageError(
                f"{path}: the suffix {path.suffix.lower()} is claimed by both {labels}; choose "
                f"one with {names}"
            )
        return self.writers.get(chosen[0].name)
