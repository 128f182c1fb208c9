"""Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 7.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ..errors import UsageError
from ..interfaces.optimizer import (
    Evaluate,
    Evaluation,
    Iterate,
    Minimization,
    Optimizer,
    OptimizerState,
)

if TYPE_CHECKING:
    from torch import Tensor

#: Root mean square change of the pixels, in [0, 1], in a step without curvature pairs.
_FIRST_STEP_RMS = 0.01


class LBFGS(Optimizer):
    """L-BFGS, one evaluation for most steps."""

    history: int = Field(default=10, ge=1, le=100, description="curvature pairs that are kept")
    line_search: Literal["none", "armijo", "strong-wolfe"] = Field(
        default="armijo",
        description="how a step's length is found; each trial beyond the first costs an evaluation",
    )
    scaling: Literal["spectral", "scalar"] = Field(
        default="spectral",
        description="initial inverse Hessian of a direction: an inverse curvature for each band of "
        "spatial frequencies, or one for all",
    )

    def images_held(self, steps: int) -> int:
        """Return the number of images in memory; see Optimizer.images_held.

        They are the pairs, two images, two gradients and a direction; with spectral scaling, also
        the frequencies' positions in the bands, and what the sums over bands take.
        """
        return 2 * min(self.history, steps) + 5 + (3 if self.scaling == "spectral" else 0)

    def iterate(self, problem: Minimization) -> Iterator[Iterate]:
        """Yield the starting point, then the iterates; see Optimizer.iterate."""
        from .inverse_hessian import InverseHessian, dots

        image, evaluate, resumed = problem.image, problem.evaluate, problem.state
        step_factor, most = problem.step_factor, min(self.history, max(problem.steps, 1))
        del problem  # frees its image once that is replaced
        if resumed is None:
            evaluation = evaluate(image)
        else:
            evaluation = Evaluation(resumed.values["value"], {}, resumed.tensors["gradient"])
        inverse_hessian = InverseHessian(most, image, spectral=self.scaling == "spectral")

        def state() -> OptimizerState:
            learned = inverse_hessian.state()
            return OptimizerState(
                {**learned.tensors, "gradient": evaluation.gradient},
                {**learned.values, "value": evaluation.value},
            )

        if resumed is None:
            yield Iterate(image, evaluation, state)
        else:
            inverse_hessian.restore(resumed)
        del resumed
        while True:
            gradient = evaluation.gradient
            direction = -inverse_hessian.times(gradient)
            (slope,) = dots((direction, gradient))
            if slope >= 0:  # not a descent direction, by rounding: start again without pairs
                inverse_hessian.forget()
                direction = -gradient
                (slope,) = dots((direction, gradient))
            trial = step_factor * (1.0 if inverse_hessian.learned else _first_length(gradient))
            length, new = self._search(image, evaluation, direction, slope, trial, evaluate)
            step = length * direction
            inverse_hessian.learn(step, new.gradient - gradient)
            image, evaluation = image + step, new
            del direction, step, gradient, new  # frees memory for the next evaluation
            yield Iterate(image, evaluation, state)

    def without_values(self) -> LBFGS:
        """Return the same optimizer without a line search; see Optimizer.without_values.

        Raises UsageError if a line search is set explicitly.
        """
        if "line_search" in self.model_fields_set and self.line_search != "none":
            raise UsageError(
                f"optimizer lbfgs: the line search {self.line_search} compares values of the loss, "
                "and normalized gradients are not the gradient of these values; "
                "use `optimizer.line_search=none` or `optimizer=adam`"
            )
        return self.model_copy(update={"line_search": "none"})

    def without_pixels(self) -> LBFGS:
        """Return the same optimizer with scalar scaling; see Optimizer.without_pixels.

        Raises UsageError if spectral scaling is set explicitly.
        """
        if "scaling" in self.model_fields_set and self.scaling == "spectral":
            raise UsageError(
                "optimizer lbfgs: spectral scaling is of the spatial frequencies of pixels, which "
                "a parametrisation replaces; use `optimizer.scaling=scalar` or "
                "`parametrization=pixels`"
            )
        return self.model_copy(update={"scaling": "scalar"})

    def _search(
        self,
        image: Tensor,
        start: Evaluation,
        direction: Tensor,
        slope: float,
        length: float,
        evaluate: Evaluate,
    ) -> tuple[float, Evaluation]:
        """Return the step length and the evaluation there; `length` is the first trial."""
        from .line_search import armijo, strong_wolfe

        match self.line_search:
            case "none":
                return length, evaluate(image + length * direction)
            case "armijo":
                return armijo(image, start, direction, slope, length, evaluate)
            case "strong-wolfe":
                return strong_wolfe(image, start, direction, slope, length, evaluate)


def _first_length(gradient: Tensor) -> float:
    """Return the step length along the gradient without curvature pairs."""
    from .inverse_hessian import dots

    (square,) = dots((gradient, gradient))
    rms = (square / gradient.numel()) ** 0.5
    return _FIRST_STEP_RMS / rms if rms > 0 else 0.0
