"""Specifications of the hooks.

A plugin is a module that an entry point of the group ``stylectl`` names. It has functions that are
marked as hooks, each by its mark in `stylectl.hooks`. The examples in the docstrings are run as
tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

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

PROJECT = "stylectl"

#: Version of the plugin interface: 1 for stylectl 0.1, 2 for 0.2. It grows with each change that
#: plugins can notice. A plugin may state the one that it needs, as `STYLECTL_API_VERSION`.
API_VERSION = 2

#: Versions of the interface that still work, the former ones with warnings.
SUPPORTED_API_VERSIONS = (1, 2)

hookspec = pluggy.HookspecMarker(PROJECT)
#: Mark of a function that implements the hook of its name. `optionalhook=True`: the hook may be
#: unknown to the stylectl that loads the plugin.
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def stylectl_backends() -> Iterable[BackendSpec[Any]]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the backends that the plugin contributes.

    >>> from stylectl import BackendOptions, BackendSpec, hooks
    >>> def create(arguments):
    ...     from my_runtime import MyBackend  # a FeatureBackend; imported when it is used
    ...     return MyBackend(arguments.backbone, arguments.layers, arguments.options.device)
    >>> @hooks.backends
    ... def backends():
    ...     yield BackendSpec(
    ...         name="mine", summary="my own runtime", create=create, options=BackendOptions
    ...     )
    >>> [spec.name for spec in backends()]
    ['mine']
    """


@hookspec
def stylectl_backbones() -> Iterable[BackboneSpec[Any]]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the backbones that the plugin contributes.

    >>> from torch import nn
    >>> from stylectl import Backbone, BackboneArguments, BackboneSpec, ChainTrunk, LayerInfo
    >>> from stylectl import NoOptions, hooks
    >>> class Tiny(Backbone):
    ...     name = "tiny"
    ...     layers = (LayerInfo("relu1", channels=8, stride=1, receptive_field=3),)
    ...     aliases = {}
    ...     default_content_layers = default_style_layers = {"relu1": 1.0}
    ...     def __init__(self, arguments): ...
    ...     def trunk(self, layers):
    ...         steps = [("", nn.Conv2d(3, 8, 3, padding=1)), ("relu1", nn.ReLU())]
    ...         return ChainTrunk(steps, mean=(0.5, 0.5, 0.5), scale=(1, 1, 1))
    >>> @hooks.backbones
    ... def backbones():
    ...     yield BackboneSpec(
    ...         name="tiny", summary="one random layer", create=Tiny, options=NoOptions
    ...     )
    >>> (spec,) = backbones()
    >>> spec.create(BackboneArguments(options=NoOptions())).layers[0].name
    'relu1'
    """


@hookspec
def stylectl_loss_terms() -> Iterable[LossTermSpec[Any]]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the loss terms that the plugin contributes.

    >>> import torch
    >>> from stylectl import IMAGE_LAYER, LossTerm, LossTermArguments, LossTermSpec, NoOptions
    >>> from stylectl import References, hooks
    >>> class Darkness(LossTerm):
    ...     layers = (IMAGE_LAYER,)
    ...     reads = frozenset()
    ...     def __init__(self, arguments): ...
    ...     def bind(self, references):
    ...         return lambda features: features[IMAGE_LAYER].square().mean()
    >>> @hooks.loss_terms
    ... def loss_terms():
    ...     yield LossTermSpec(
    ...         name="darkness",
    ...         summary="prefers black",
    ...         create=Darkness,
    ...         options=NoOptions,
    ...         layers_from="image",
    ...     )
    >>> (spec,) = loss_terms()
    >>> term = spec.create(LossTermArguments(layers={}, options=NoOptions()))
    >>> loss = term.bind(References(content={}, styles=()))
    >>> loss({IMAGE_LAYER: torch.full((1, 3, 2, 2), 0.5)})
    tensor(0.2500)
    """


@hookspec
def stylectl_writers() -> Iterable[WriterSpec[Any]]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the file formats that the plugin contributes.

    >>> from stylectl import NoOptions, Writer, WriterSpec, hooks
    >>> class PPMWriter(Writer):
    ...     def __init__(self, arguments): ...
    ...     def write(self, request):
    ...         height, width = request.result.image.shape[:2]
    ...         pixels = (request.result.image * 255).round().astype("uint8").tobytes()
    ...         request.path.write_bytes(f"P6 {width} {height} 255 ".encode() + pixels)
    >>> @hooks.writers
    ... def writers():
    ...     yield WriterSpec(
    ...         name="ppm",
    ...         summary="PPM",
    ...         suffixes=(".ppm",),
    ...         create=PPMWriter,
    ...         options=NoOptions,
    ...     )
    >>> [spec.suffixes for spec in writers()]
    [('.ppm',)]
    """


@hookspec
def stylectl_optimizers() -> Iterable[OptimizerSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the optimizers that the plugin contributes.

    >>> from stylectl import Iterate, Optimizer, OptimizerSpec, hooks
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
    >>> @hooks.optimizers
    ... def optimizers():
    ...     yield OptimizerSpec(name="descent", summary="plain descent", options=Descent)
    >>> [spec.options().step_size for spec in optimizers()]
    [0.1]
    """


@hookspec
def stylectl_initializers() -> Iterable[InitializerSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the initialisers that the plugin contributes.

    >>> from stylectl import Initializer, InitializerSpec, hooks
    >>> class Gray(Initializer):
    ...     value: float = 0.5
    ...     random = False
    ...     def image(self, start):
    ...         return start.content * 0 + self.value
    >>> @hooks.initializers
    ... def initializers():
    ...     yield InitializerSpec(name="gray", summary="plain gray", options=Gray)
    >>> [spec.options().random for spec in initializers()]
    [False]
    """


@hookspec
def stylectl_parametrizations() -> Iterable[ParametrizationSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the parametrisations that the plugin contributes.

    >>> from stylectl import Parametrization, ParametrizationSpec, hooks
    >>> class Contrast(Parametrization):
    ...     factor: float = 2.0
    ...     def encode(self, image):
    ...         return (image - 0.5) / self.factor
    ...     def decode(self, parameters, size):
    ...         return 0.5 + self.factor * parameters
    >>> @hooks.parametrizations
    ... def parametrizations():
    ...     yield ParametrizationSpec(name="contrast", summary="around gray", options=Contrast)
    >>> [spec.options().factor for spec in parametrizations()]
    [2.0]
    """


@hookspec
def stylectl_presets() -> Iterable[PresetSpec]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the presets that the plugin contributes.

    >>> from stylectl import PRESETS, PresetSpec, hooks
    >>> values = PRESETS["balanced"] | {"size": 320, "iterations": 120}
    >>> @hooks.presets
    ... def presets():
    ...     yield PresetSpec(name="postcard", summary="320 px, 120 steps", table=values)
    >>> [spec.table["size"] for spec in presets()]
    [320]
    """


@hookspec
def stylectl_flows() -> Iterable[FlowSpec[Any]]:  # type: ignore[empty-body]
    """Called once, before a job is read; returns the plugin's estimators of optical flow.

    >>> import numpy as np
    >>> from stylectl import FlowEstimator, FlowFrame, FlowSpec, hooks
    >>> class Still(FlowEstimator):
    ...     def flow(self, first, second):
    ...         return np.zeros((*first.image.shape[:2], 2), np.float32)
    >>> @hooks.flows
    ... def flows():
    ...     yield FlowSpec(name="still", summary="nothing moves", create=lambda arguments: Still())
    >>> [spec.name for spec in flows()]
    ['still']
    """


@hookspec
def stylectl_run_started(event: RunStarted) -> None:
    """Called when a run's images and network are ready; returns nothing.

    >>> from stylectl import hooks
    >>> @hooks.run_started
    ... def run_started(event):
    ...     print(len(event.scales), "scales on", event.device)
    """


@hookspec
def stylectl_step(event: StepDone) -> None:
    """Called after each optimizer step; returns nothing. The event's image must not be modified.

    >>> from stylectl import hooks
    >>> @hooks.step
    ... def step(event):
    ...     print(event.scale, event.step, event.loss)
    """


@hookspec
def stylectl_run_finished(event: RunFinished) -> None:
    """Called with the result, also that of an interrupted run; returns nothing.

    >>> from stylectl import hooks
    >>> @hooks.run_finished
    ... def run_finished(event):
    ...     print(event.result.seconds, "seconds")
    """
