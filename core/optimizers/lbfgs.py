"""Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 7.5)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ..errors import UsageError
from ..interfaces.optimizer import Evaluate, Iterate, Optimizer

if TYPE_CHECKING:
    from torch import Tensor

    from ..interfaces.optimizer import Evaluation

#: Root mean square change of the pixels, in [0, 1], in a step without curvature pairs.
_FIRST_STEP_RMS = 0.01


class LBFGS(Optimizer):
    """L-BFGS on the pixels, one evaluation for most steps."""

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

    def iterate(
        self, image: Tensor, evaluate: Evaluate, step_scale: float, steps: int
    ) -> Iterator[Iterate]:
        """Yield the starting point, then the iterates; see Optimizer.iterate."""
        import torch

        from .curvature_pairs import CurvaturePairs
        from .spectral_scaling import SpectralScaling

        evaluation = evaluate(image)
        spectrum = SpectralScaling(image) if self.scaling == "spectral" else None
        pairs, initial = CurvaturePairs(min(self.history, max(steps, 1)), image), _identity
        while True:
            yield Iterate(image, evaluation)
            gradient = evaluation.gradient
            direction = -pairs.inverse_hessian_times(gradient, initial)
            (slope,) = _dots((direction, gradient))
            if slope >= 0:  # not a descent direction, by rounding: start again without pairs
                pairs.clear()
                initial, direction = _identity, -gradient
                (slope,) = _dots((direction, gradient))
            trial = step_scale if pairs else step_scale * _first_length(gradient)
            length, new = self._search(image, evaluation, direction, slope, trial, evaluate)
            step, change = length * direction, new.gradient - gradient
            curvature, change_square, step_square = _dots(
                (step, change), (change, change), (step, step)
            )
            if curvature > 1e-10 * change_square**0.5 * step_square**0.5:
                pairs.add(step, change)
                inverse_curvature = curvature / change_square
                if spectrum:
                    spectrum.learn(step, change)
                    initial = partial(spectrum.scaled, inverse_curvature=inverse_curvature)
                else:
                    initial = partial(torch.mul, inverse_curvature)
            image, evaluation = image + step, new
            del direction, step, change, gradient, new  # frees memory for the next evaluation

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


def _identity(gradient: Tensor) -> Tensor:
    return gradient


def _first_length(gradient: Tensor) -> float:
    """Return the step length along the gradient without curvature pairs."""
    (square,) = _dots((gradient, gradient))
    rms = (square / gradient.numel()) ** 0.5
    return _FIRST_STEP_RMS / rms if rms > 0 else 0.0


def _dots(*pairs: tuple[Tensor, Tensor]) -> list[float]:
    """Return the inner products of pairs of images; waits for the device once."""
    import torch

    values: list[float] = torch.stack(
        [torch.dot(a.flatten(), b.flatten()) for a, b in pairs]
    ).tolist()
    return values
