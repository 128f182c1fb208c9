"""Specifications of the hooks.

A plugin is a module with some of these functions, marked `hookimpl`, that an entry point of the
group ``stylectl`` names. The examples in the docstrings are run as tests.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from ..core.interfaces.events import RunFinished, RunStarted, StepDone
from ..core.interfaces.specs import (
    BackboneSpec,
    BackendSpec,
    InitializerSpec,
    LossTermSpec,
    OptimizerSpec,
    WriterSpec,
)

PROJECT = "stylectl"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def stylectl_backends() -> Iterable[BackendSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the backends that the plugin contributes.

    >>> from stylectl import BackendSpec, hookimpl
    >>> def create(backbone, layers, options):
    ...     from my_runtime import MyBackend  # a FeatureBackend; imported when it is used
    ...     return MyBackend(backbone, layers, options.device, options.precision)
    >>> @hookimpl
    ... def stylectl_backends():
    ...     yield BackendSpec(name="mine", summary="my own runtime", create=create)
    >>> [spec.name for spec in stylectl_backends()]
    ['mine']
    """


@hookspec
def stylectl_backbones() -> Iterable[BackboneSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the backbones that the plugin contributes.

    >>> from torch import nn
    >>> from stylectl import Backbone, BackboneSpec, ChainTrunk, LayerInfo, hookimpl
    >>> class Tiny(Backbone):
    ...     name = "tiny"
    ...     layers = (LayerInfo("relu1", channels=8, stride=1, receptive_field=3),)
    ...     aliases = {}
    ...     default_content_layers = default_style_layers = {"relu1": 1.0}
    ...     def __init__(self, options): ...
    ...     def trunk(self, layers):
    ...         steps = [("", nn.Conv2d(3, 8, 3, padding=1)), ("relu1", nn.ReLU())]
    ...         return ChainTrunk(steps, mean=(0.5, 0.5, 0.5), scale=(1, 1, 1))
    >>> @hookimpl
    ... def stylectl_backbones():
    ...     yield BackboneSpec(name="tiny", summary="one random layer", create=Tiny)
    >>> [spec.create(None).layers[0].name for spec in stylectl_backbones()]
    ['relu1']
    """


@hookspec
def stylectl_loss_terms() -> Iterable[LossTermSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the loss terms that the plugin contributes.

    >>> import torch
    >>> from stylectl import IMAGE_LAYER, LossTerm, LossTermSpec, References, hookimpl
    >>> class Darkness(LossTerm):
    ...     layers = (IMAGE_LAYER,)
    ...     reads = frozenset()
    ...     def __init__(self, layers, options): ...
    ...     def bind(self, references):
    ...         return lambda features: features[IMAGE_LAYER].square().mean()
    >>> @hookimpl
    ... def stylectl_loss_terms():
    ...     yield LossTermSpec(
    ...         name="darkness", summary="prefers black", create=Darkness, layers_from="image"
    ...     )
    >>> (spec,) = stylectl_loss_terms()
    >>> loss = spec.create({}, None).bind(References(content={}, styles=()))
    >>> loss({IMAGE_LAYER: torch.full((1, 3, 2, 2), 0.5)})
    tensor(0.2500)
    """


@hookspec
def stylectl_writers() -> Iterable[WriterSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the file formats that the plugin contributes.

    >>> from stylectl import Writer, WriterSpec, hookimpl
    >>> class PPMWriter(Writer):
    ...     def __init__(self, options): ...
    ...     def write(self, result, snapshots, path, record):
    ...         height, width = result.image.shape[:2]
    ...         pixels = (result.image * 255).round().astype("uint8").tobytes()
    ...         path.write_bytes(f"P6 {width} {height} 255 ".encode() + pixels)
    >>> @hookimpl
    ... def stylectl_writers():
    ...     yield WriterSpec(name="ppm", summary="PPM", suffixes=(".ppm",), create=PPMWriter)
    >>> [spec.suffixes for spec in stylectl_writers()]
    [('.ppm',)]
    """


@hookspec
def stylectl_optimizers() -> Iterable[OptimizerSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the optimizers that the plugin contributes.

    >>> from stylectl import Iterate, Optimizer, OptimizerSpec, hookimpl
    >>> class Descent(Optimizer):
    ...     step_size: float = 0.1
    ...     def images_held(self, steps):
    ...         return 3
    ...     def iterate(self, problem):
    ...         image, step_size = problem.image, problem.step_factor * self.step_size
    ...         while True:
    ...             evaluation = problem.evaluate(image)
    ...             yield Iterate(image, evaluation)
    ...             image = image - step_size * evaluation.gradient
    >>> @hookimpl
    ... def stylectl_optimizers():
    ...     yield OptimizerSpec(name="descent", summary="plain descent", options=Descent)
    >>> [spec.options().step_size for spec in stylectl_optimizers()]
    [0.1]
    """


@hookspec
def stylectl_initializers() -> Iterable[InitializerSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the initialisers that the plugin contributes.

    >>> from stylectl import Initializer, InitializerSpec, hookimpl
    >>> class Gray(Initializer):
    ...     value: float = 0.5
    ...     random = False
    ...     def image(self, start):
    ...         return start.content * 0 + self.value
    >>> @hookimpl
    ... def stylectl_initializers():
    ...     yield InitializerSpec(name="gray", summary="plain gray", options=Gray)
    >>> [spec.options().random for spec in stylectl_initializers()]
    [False]
    """


@hookspec
def stylectl_run_started(event: RunStarted) -> None:
    """Called when a run's images and network are ready; returns nothing.

    >>> from stylectl import hookimpl
    >>> @hookimpl
    ... def stylectl_run_started(event):
    ...     print(len(event.scales), "scales on", event.device)
    """


@hookspec
def stylectl_step(event: StepDone) -> None:
    """Called after each optimizer step; returns nothing. The event's image must not be modified.

    >>> from stylectl import hookimpl
    >>> @hookimpl
    ... def stylectl_step(event):
    ...     print(event.scale, event.step, event.loss)
    """


@hookspec
def stylectl_run_finished(event: RunFinished) -> None:
    """Called with the result, also that of an interrupted run; returns nothing.

    >>> from stylectl import hookimpl
    >>> @hookimpl
    ... def stylectl_run_finished(event):
    ...     print(event.result.seconds, "seconds")
    """
