"""Interfaces of optimizers, which move the pixels, and initialisers, which make the first image."""

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
    """Outcome of one step.

    `image` is the result so far (for an averaging optimizer: the average); `evaluation` belongs to
    the point that was evaluated in this step. Both are new tensors in each step.
    """

    image: Tensor
    evaluation: Evaluation


class Optimizer(BaseModel, ABC):
    """Method of minimisation.

    Its fields are the options of the job's `optimizer` table; its state is held in the iterator
    alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def iterate(
        self, image: Tensor, evaluate: Evaluate, step_scale: float, steps: int
    ) -> Iterator[Iterate]:
        """Yield the starting point, then one iterate for each step, without end.

        About `steps` iterates will be taken; memory is allocated for that number. `step_scale` in
        (0, 1] shortens every step; it is below 1 after the loss was not finite. The iterator does
        not test for that: it yields such an evaluation as it is.
        """

    @abstractmethod
    def images_held(self, steps: int) -> int:
        """Return the number of images held during an evaluation after `steps` steps.

        The evaluated image and its gradient are included.
        """

    def without_values(self) -> Optimizer:
        """Return this optimizer, changed so that it compares no values of the objective.

        It is for gradients that are not the slope of the value (`normalized_cotangents`). Raises
        UsageError if an option that was set requires the comparison.
        """
        return self


@dataclass(frozen=True)
class StartingPoint:
    """Inputs of an initialiser.

    - `content`: (1, 3, H, W), RGB in [0, 1], at the first scale.
    - `styles`: each style image (1, 3, H', W'), RGB in [0, 1], with its weight.
    - `generator`: the run's source of random numbers.
    - `image`: the image file to start from, if the job names one.
    - `opacities`: for each style image its opacity (H', W') in [0, 1], or None if it is opaque;
      empty if all are. Transparent pixels have the colors of the nearest opaque ones.
    """

    content: Tensor
    styles: Sequence[tuple[Tensor, float]]
    generator: torch.Generator
    image: SourceImage | None = None
    opacities: Sequence[Tensor | None] = ()


class Initializer(BaseModel, ABC):
    """Maker of the first image, with the options of the job's `init` table as its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Whether the first image shows the content, so that each finer scale may take over the
    #: content's detail as well.
    shows_content: ClassVar[bool] = False

    #: Whether the seed matters.
    random: ClassVar[bool] = True

    @abstractmethod
    def image(self, start: StartingPoint) -> Tensor:
        """Return the first image, shaped like the content."""
