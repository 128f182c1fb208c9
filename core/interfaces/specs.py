"""What a plugin contributes: one frozen dataclass for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from .backbone import Backbone
from .backend import BackendOptions, FeatureBackend
from .terms import LossTerm
from .writer import Writer


class NoOptions(BaseModel):
    """For what has nothing to choose."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What all contributions have: the name that a job uses, and a summary of one line."""

    name: str
    summary: str


@dataclass(frozen=True, kw_only=True)
class BackendSpec(Spec):
    """A runtime. `create(backbone, layers, options)` makes it ready to run those layers; it raises
    BackendError when this machine cannot. `options` extends `BackendOptions`."""

    create: Callable[[Backbone, Sequence[str], Any], FeatureBackend]
    options: type[BackendOptions] = BackendOptions


@dataclass(frozen=True, kw_only=True)
class BackboneSpec(Spec):
    """A network. `create(options)` gets a validated instance of `options`."""

    create: Callable[[Any], Backbone]
    options: type[BaseModel] = NoOptions


@dataclass(frozen=True, kw_only=True)
class LossTermSpec(Spec):
    """A loss term. `create(layers, options)` gets the weight of each layer, and a validated
    instance of `options`.

    `layers_from` says which of the backbone's default layers it takes when a job names none, or
    that it looks at the pixels alone (``"image"``) and has no layers to choose; those of a stride
    under `least_stride`, in pixels, are left out, unless all are. `random` says whether the term
    draws random numbers, so that the job's seed matters.
    """

    create: Callable[[Mapping[str, float], Any], LossTerm]
    layers_from: Literal["content", "style", "image"]
    options: type[BaseModel] = NoOptions
    least_stride: int = 1
    random: bool = False


@dataclass(frozen=True, kw_only=True)
class WriterSpec(Spec):
    """A file format: its suffixes (lower case, with the dot), whether it keeps transparency, and
    the longest side in pixels that it can hold (None: any).

    `create(options)` is called before the run, with a validated instance of `options`; it raises
    UsageError when something that it needs is not installed.
    """

    suffixes: tuple[str, ...]
    create: Callable[[Any], Writer]
    options: type[BaseModel] = NoOptions
    keeps_alpha: bool = False
    longest_side: int | None = None
