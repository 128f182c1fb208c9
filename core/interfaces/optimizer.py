"""Interfaces of optimizers, and of what they start from and change.

An initialiser makes the first image; a parametrisation maps it to what the optimizer changes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

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
class OptimizerState:
    """State of an optimizer after a step, from which another process can go on.

    - `tensors`: dense ones, by name, of any shape and type.
    - `values`: plain values, as in JSON: numbers, texts, booleans, None, lists and tables of them.

    The receiver does not modify it.
    """

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Minimization:
    """Task of an optimizer.

    - `image`: (N, 3, H, W), to start from; or, with another parametrisation than the pixels, the
      parameters of that image, of four dimensions and any size.
    - `evaluate`: the objective, at an image of this shape.
    - `steps`: about as many iterates will be taken; memory is allocated for that number.
    - `step_factor`: in (0, 1], shortens every step; below 1 after the loss was not finite.
    - `state`: to go on with, or None. It belongs to an iterate of a minimisation that differs in
      nothing else; `image` is then that iterate's image.
    """

    image: Tensor
    evaluate: Evaluate
    steps: int
    step_factor: float = 1.0
    state: OptimizerState | None = None


@dataclass(frozen=True)
class Iterate:
    """Outcome of one step.

    `image` is the result so far (for an averaging optimizer: the average); `evaluation` belongs to
    the point that was evaluated in this step. Both are new tensors in each step. `state` returns
    the state after this step; it is called before the next iterate is taken, if at all. None: a run
    cannot be resumed at this step.
    """

    image: Tensor
    evaluation: Evaluation
    state: Callable[[], OptimizerState] | None = None


class Optimizer(BaseModel, ABC):
    """Method of minimisation.

    Its fields are the options of the job's `optimizer` table; its state is held in the iterator
    alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Whether it compares values or gradients of different steps, so that the objective must stay
    #: the same function within a scale. Optimizers that do not say so get no changing losses.
    compares_steps: ClassVar[bool] = True

    @abstractmethod
    def iterate(self, problem: Minimization) -> Iterator[Iterate]:
        """Yield the starting point, then one iterate for each step, without end.

        With a `problem.state`, yield the iterates after the one that the state belongs to, without
        that one: bit for bit those that would have followed it. The iterator does not test whether
        an evaluation is finite: it yields it as it is.
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

    def without_pixels(self) -> Optimizer:
        """Return this optimizer, changed so that it takes its image for parameters, not for pixels.

        It is for parametrisations whose parameters have no neighbors and no spatial frequencies.
        Raises UsageError if an option that was set requires pixels.
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

    @property
    def carries_detail(self) -> bool:
        """True if each finer scale takes over the content's detail: where `shows_content` is."""
        return self.shows_content

    @abstractmethod
    def image(self, start: StartingPoint) -> Tensor:
        """Return the first image, shaped like the content."""


class Parametrization(BaseModel, ABC):
    """Map between the image and the parameters that an optimizer changes.

    Its fields are the options of the job's `parametrization` table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Whether the parameters are the pixels, (N, 3, H, W).
    are_pixels: ClassVar[bool] = False

    #: Number of parameters for each number of the image, for estimates of memory.
    size_ratio: ClassVar[float] = 1.0

    @abstractmethod
    def encode(self, image: Tensor) -> Tensor:
        """Return the parameters of an image (N, 3, H, W).

        They have four dimensions, the first of them N, and the image's type and device. Their shape
        depends on the image's alone. `decode` gives the image back, but for rounding.
        """

    @abstractmethod
    def decode(self, parameters: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the image (N, 3, H, W) of a size (height, width), differentiable by autograd."""
