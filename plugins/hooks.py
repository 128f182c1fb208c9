"""Typed marks of the hooks, so that a type checker finds a misspelt or a wrong one::

    from stylectl import hooks

    @hooks.loss_terms
    def loss_terms() -> Iterator[LossTermSpec[NoOptions]]: ...

The function may have any name. Each mark is pluggy's `hookimpl` with the name of the hook; the
hooks themselves are described in `hookspecs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ..core.interfaces.events import RunFinished, RunStarted, StepDone
from ..core.interfaces.specs import (
    BackboneSpec,
    BackendSpec,
    FlowSpec,
    InitializerSpec,
    LossTermSpec,
    OptimizerSpec,
    ParametrizationSpec,
    PresetSpec,
    WriterSpec,
)
from .hookspecs import hookimpl

Backends = TypeVar("Backends", bound=Callable[[], Iterable[BackendSpec[Any]]])
Backbones = TypeVar("Backbones", bound=Callable[[], Iterable[BackboneSpec[Any]]])
LossTerms = TypeVar("LossTerms", bound=Callable[[], Iterable[LossTermSpec[Any]]])
Writers = TypeVar("Writers", bound=Callable[[], Iterable[WriterSpec[Any]]])
Optimizers = TypeVar("Optimizers", bound=Callable[[], Iterable[OptimizerSpec]])
Initializers = TypeVar("Initializers", bound=Callable[[], Iterable[InitializerSpec]])
Parametrizations = TypeVar("Parametrizations", bound=Callable[[], Iterable[ParametrizationSpec]])
Presets = TypeVar("Presets", bound=Callable[[], Iterable[PresetSpec]])
Flows = TypeVar("Flows", bound=Callable[[], Iterable[FlowSpec[Any]]])
OnRunStarted = TypeVar("OnRunStarted", bound=Callable[[RunStarted], None])
OnStep = TypeVar("OnStep", bound=Callable[[StepDone], None])
OnRunFinished = TypeVar("OnRunFinished", bound=Callable[[RunFinished], None])


def backends(function: Backends) -> Backends:
    """Mark a function that returns or yields the plugin's backends."""
    return hookimpl(specname="stylectl_backends")(function)


def backbones(function: Backbones) -> Backbones:
    """Mark a function that returns or yields the plugin's backbones."""
    return hookimpl(specname="stylectl_backbones")(function)


def loss_terms(function: LossTerms) -> LossTerms:
    """Mark a function that returns or yields the plugin's loss terms."""
    return hookimpl(specname="stylectl_loss_terms")(function)


def writers(function: Writers) -> Writers:
    """Mark a function that returns or yields the plugin's writers."""
    return hookimpl(specname="stylectl_writers")(function)


def optimizers(function: Optimizers) -> Optimizers:
    """Mark a function that returns or yields the plugin's optimizers."""
    return hookimpl(specname="stylectl_optimizers")(function)


def initializers(function: Initializers) -> Initializers:
    """Mark a function that returns or yields the plugin's initialisers."""
    return hookimpl(specname="stylectl_initializers")(function)


def parametrizations(function: Parametrizations) -> Parametrizations:
    """Mark a function that returns or yields the plugin's parametrisations of the result."""
    return hookimpl(specname="stylectl_parametrizations")(function)


def presets(function: Presets) -> Presets:
    """Mark a function that returns or yields the plugin's presets."""
    return hookimpl(specname="stylectl_presets")(function)


def flows(function: Flows) -> Flows:
    """Mark a function that returns or yields the plugin's estimators of optical flow."""
    return hookimpl(specname="stylectl_flows")(function)


def run_started(function: OnRunStarted) -> OnRunStarted:
    """Mark a function that is called with `event`, when a run's images and network are ready."""
    return hookimpl(specname="stylectl_run_started")(function)


def step(function: OnStep) -> OnStep:
    """Mark a function that is called with `event`, after each step of the optimizer."""
    return hookimpl(specname="stylectl_step")(function)


def run_finished(function: OnRunFinished) -> OnRunFinished:
    """Mark a function that is called with `event`, at the end of a run."""
    return hookimpl(specname="stylectl_run_finished")(function)
