"""The hooks. A plugin is a module or an object with some of these functions, marked `hookimpl`."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from ..core.events import RunFinished, RunStarted, StepDone
from ..core.specs import BackboneSpec, BackendSpec, LossTermSpec, WriterSpec

PROJECT = "stylectl"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def stylectl_backends() -> Iterable[BackendSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read: the runtimes that the plugin brings."""


@hookspec
def stylectl_backbones() -> Iterable[BackboneSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read: the networks that the plugin brings."""


@hookspec
def stylectl_loss_terms() -> Iterable[LossTermSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read: the loss terms that the plugin brings."""


@hookspec
def stylectl_writers() -> Iterable[WriterSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read: the file formats that the plugin brings."""


@hookspec
def stylectl_run_started(event: RunStarted) -> None:
    """Called when a run's images and network stand ready."""


@hookspec
def stylectl_step(event: StepDone) -> None:
    """Called after each optimizer step. The event's image must not be modified."""


@hookspec
def stylectl_run_finished(event: RunFinished) -> None:
    """Called with the result, also of an interrupted run that has a picture."""
