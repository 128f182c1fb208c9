"""Optimizers and initialisers: what moves the pixels, and where they start."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from .source_image import SourceImage

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Evaluation:
    """Value and gradient of the objective at one image.

    - `value`: the sum of `losses`.
    - `losses`: each term's weighted loss, by the term's name.
    - `gradient`: (N, 3, H, W), with respect to the image; with `normalized_cotangents`, what
      replaces the gradient.
    - `nonfinite_source`: name of the source of numbers that are not finite; empty if there are
      none.
    """

    value: float
    losses: dict[str, float]
    gradient: Tensor
    nonfinite_source: str = ""

    @property
    def finite(self) -> bool:
        """True if the value and every element of the gradient are finite."""
        return math.isfinite(self.value) and bool(self.gradient.isfinite().all())


#: Value and gradient at an image (N, 3, H, W).
Evaluate = Callable[["Tensor"], Evaluation]


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


@dataclass(frozen=True)
class StartingPoint:
    """What the first image may be made of: the content (1, 3, H, W) at the first scale and the
    style images (1, 3, H', W') with their shares, RGB in [0, 1]; the run's source of random
    numbers; and the image file to start from, if the job names one."""

    content: Tensor
    styles: Sequence[tuple[Tensor, float]]
    generator: torch.Generator
    image: SourceImage | None = None


class Initializer(BaseModel, ABC):
    """A way to start; its fields are the options of the job's `init` table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Whether the result begins as the content, so that each finer scale may take the content's
    #: detail over as well.
    shows_content: ClassVar[bool] = False

    #: Whether the seed matters.
    random: ClassVar[bool] = True

    @abstractmethod
    def image(self, start: StartingPoint) -> Tensor:
        """The first image, shaped like the content."""
