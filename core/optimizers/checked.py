"""Optimizers and initialisers of plugins, with checks of what they return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..attribution import attributed_to, is_out_of_memory
from ..errors import PluginError, StylectlError
from ..interfaces.optimizer import (
    Evaluate,
    Evaluation,
    Initializer,
    Iterate,
    Optimizer,
    StartingPoint,
)
from ..shown import error_line

if TYPE_CHECKING:
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

    def iterate(
        self, image: Tensor, evaluate: Evaluate, step_scale: float, steps: int
    ) -> Iterator[Iterate]:
        """See Optimizer.iterate.

        Raises PluginError for what is not an Iterate, for an iterate whose shape is not the
        image's, and when the iterator ends.
        """
        objective = _CheckedObjective(evaluate, image, self.label)
        iterates = None
        while True:
            try:
                iterates = iterates or self.optimizer.iterate(image, objective, step_scale, steps)
                iterate = next(iterates)
            except StopIteration:
                raise PluginError(f"{self.label} stopped by itself") from None
            except StylectlError:
                raise
            except (Exception, SystemExit) as error:
                if error is objective.failure or is_out_of_memory(error):
                    raise
                raise PluginError(f"{self.label} failed: {error_line(error)}") from error
            if not isinstance(iterate, Iterate) or iterate.image.shape != image.shape:
                raise PluginError(
                    f"{self.label} must yield an Iterate with an image like the first"
                )
            yield iterate


class _CheckedObjective:
    """Objective for images of one shape, with its last error as `failure`.

    An error of the objective is not attributed to the optimizer.
    """

    def __init__(self, evaluate: Evaluate, first: Tensor, label: str) -> None:
        self._evaluate, self._shape, self._label = evaluate, first.shape, label
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
