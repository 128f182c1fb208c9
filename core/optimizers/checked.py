"""Optimizers and initialisers of plugins, with checks of what they return."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..attribution import attributed_to, is_out_of_memory
from ..errors import PluginError, StylectlError
from ..interfaces.optimizer import (
    Evaluate,
    Evaluation,
    Initializer,
    Iterate,
    Minimization,
    Optimizer,
    OptimizerState,
    StartingPoint,
)
from ..shown import error_line

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class CheckedOptimizer(Optimizer):
    """An optimizer whose errors name it, by `label`, and whose iterates are checked."""

    optimizer: Optimizer
    label: str

    def images_held(self, steps: int) -> int:
        """See Optimizer.images_held. Raises PluginError unless it is an integer of at least 1."""
        with attributed_to(self.label):
            held = self.optimizer.images_held(steps)
        if not isinstance(held, int) or held < 1:
            raise PluginError(f"{self.label}: images_held gives {held!r}, not a number of images")
        return held

    def without_values(self) -> Optimizer:
        """See Optimizer.without_values."""
        with attributed_to(self.label):
            changed = self.optimizer.without_values()
        return self.model_copy(update={"optimizer": changed})

    def without_pixels(self) -> Optimizer:
        """See Optimizer.without_pixels."""
        with attributed_to(self.label):
            changed = self.optimizer.without_pixels()
        return self.model_copy(update={"optimizer": changed})

    def iterate(self, problem: Minimization) -> Iterator[Iterate]:
        """See Optimizer.iterate.

        Raises PluginError for what is not an Iterate, for an iterate whose shape is not the
        image's, and when the iterator ends. A state raises it for what is not plain.
        """
        shape = problem.image.shape
        objective = _CheckedObjective(problem.evaluate, shape, self.label)
        iterates = _iterates(self.optimizer, replace(problem, evaluate=objective))
        del problem  # frees its image once that is replaced
        while True:
            try:
                iterate = next(iterates)
            except StopIteration:
                raise PluginError(f"{self.label} stopped by itself") from None
            except StylectlError:
                raise
            except (Exception, SystemExit) as error:
                if error is objective.failure or is_out_of_memory(error):
                    raise
                raise PluginError(f"{self.label} failed: {error_line(error)}") from error
            if not isinstance(iterate, Iterate) or iterate.image.shape != shape:
                raise PluginError(
                    f"{self.label} must yield an Iterate with an image like the first"
                )
            if iterate.state is not None:
                iterate = replace(iterate, state=partial(self._checked_state, iterate.state))
            yield iterate

    def _checked_state(self, state_of: Callable[[], OptimizerState]) -> OptimizerState:
        import torch

        with attributed_to(self.label):
            state = state_of()
        if not isinstance(state, OptimizerState) or not isinstance(state.tensors, Mapping):
            raise PluginError(f"{self.label}: the state must be an OptimizerState")
        for name, tensor in state.tensors.items():
            dense = isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided
            if not isinstance(name, str) or not dense:
                raise PluginError(f"{self.label}: the state's {name!r} is not a dense tensor")
        try:
            json.dumps(state.values)
        except (TypeError, ValueError, RecursionError) as error:
            raise PluginError(f"{self.label}: the state's values: {error_line(error)}") from None
        return state


def _iterates(optimizer: Optimizer, problem: Minimization) -> Iterator[Iterate]:
    iterates = optimizer.iterate(problem)
    del problem
    yield from iterates


class _CheckedObjective:
    """Objective for images of one shape, with its last error as `failure`.

    An error of the objective is not attributed to the optimizer.
    """

    def __init__(self, evaluate: Evaluate, shape: torch.Size, label: str) -> None:
        self._evaluate, self._shape, self._label = evaluate, shape, label
        self.failure: Exception | None = None

    def __call__(self, image: Tensor) -> Evaluation:
        if getattr(image, "shape", None) != self._shape:
            raise PluginError(f"{self._label} must evaluate an image like the first")
        try:
            return self._evaluate(image)
        except Exception as error:
            self.failure = error
            raise


def checked_image(initializer: Initializer, start: StartingPoint, label: str) -> Tensor:
    """Return the initialiser's first image.

    Raises PluginError, with `label`, unless it is finite and of the content's shape, type and
    device.
    """
    import torch

    with attributed_to(label):
        image = initializer.image(start)
    content = start.content
    if not isinstance(image, torch.Tensor) or image.shape != content.shape:
        raise PluginError(f"{label}: the first image should be shaped like the content")
    if image.dtype != content.dtype or image.device != content.device:
        raise PluginError(
            f"{label}: the first image should be of {content.dtype} on {content.device}, as the "
            f"content is, not of {image.dtype} on {image.device}"
        )
    if not image.isfinite().all():
        raise PluginError(f"{label}: the first image is not finite")
    return image
