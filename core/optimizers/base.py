"""The optimizers' interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch import Tensor

    from ..objective.evaluation import Evaluation

#: Value and gradient at an image (N, 3, H, W).
Evaluate = Callable[["Tensor"], "Evaluation"]


@dataclass(frozen=True)
class Iterate:
    """One step's outcome.

    `image` is the result so far (for an averaging optimizer: the average); `evaluation` belongs to
    the point that was evaluated in this step. Both are new tensors in each step.
    """

    image: Tensor
    evaluation: Evaluation


class Optimizer(BaseModel, ABC):
    """A way to minimise. Its fields are the options of the job's `optimizer` table; its state lives
    in the iterator alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def iterate(
        self, image: Tensor, evaluate: Evaluate, step_scale: float, steps: int
    ) -> Iterator[Iterate]:
        """Yield the starting point, then one iterate for each step, without end; about `steps` are
        wanted, for which memory is allocated.

        `step_scale` in (0, 1] shortens every step; it is below 1 after the loss was not finite.
        The iterator does not test for that: it yields such an evaluation as it is.
        """

    @abstractmethod
    def images_held(self, steps: int) -> int:
        """How many images it holds while one is evaluated, after so many steps: that one and its
        gradient included."""

    def without_values(self) -> Optimizer:
        """The same for gradients that are not the slope of the value (`normalized_cotangents`), so
        that values must not be compared. Raises UsageError when that was asked for."""
        return self
