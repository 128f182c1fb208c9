"""Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 7.5)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ..errors import UsageError
from .base import Evaluate, Iterate, Optimizer

if TYPE_CHECKING:
    from torch import Tensor

    from ..objective.evaluation import Evaluation

#: Root mean square change of the pixels, in [0, 1], in a step without known curvature.
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
        description="what a direction begins with: an inverse curvature for each band of spatial "
        "frequencies, or one for all",
    )

    def images_held(self, steps: int) -> int:
        """See Optimizer. The pairs, two images, two gradients, a direction; the bands' places, and
        what their sums take."""
        return 2 * min(self.history, steps) + 5 + (3 if self.scaling == "spectral" else 0)

    def iterate(
        self, image: Tensor, evaluate: Evaluate, step_scale: float, steps: int
    ) -> Iterator[Iterate]:
        """See Optimizer."""
        import torch

        from .curvature_pairs import CurvaturePairs
        from .spectral_scaling import SpectralScaling

        evaluation = evaluate(image)
        spectrum = SpectralScaling(image) if self.scaling == "spectral" else None
        pairs, first = CurvaturePairs(min(self.history, max(steps, 1)), image), _same
        while True:
            yield Iterate(image, evaluation)
            gradient = evaluation.gradient
            direction = -pairs.inverse_hessian_times(gradient, first)
            (slope,) = _dots((direction, gradient))
            if slope >= 0:  # rounding has spoiled the curvature: start afresh
                pairs.clear()
                first, direction = _same, -gradient
                (slope,) = _dots((direction, gradient))
            length = step_scale if pairs else step_scale * _first_length(gradient)
            step, new = self._search(image, evaluation, direction, slope, length, evaluate)
            moved, change = step * direction, new.gradient - gradient
            curvature, slopes, moves = _dots((moved, change), (change, change), (moved, moved))
            if curvature > 1e-10 * slopes**0.5 * moves**0.5:
                pairs.add(moved, change)
                inverse_curvature = curvature / slopes
                if spectrum:
                    spectrum.learn(moved, change)
                    first = partial(spectrum.scaled, inverse_curvature=inverse_curvature)
                else:
                    first = partial(torch.mul, inverse_curvature)
            image, evaluation = image + moved, new
            del direction, moved, change, gradient, new  # not to be held during an evaluation

    def without_values(self) -> LBFGS:
        """See Optimizer."""
        if "line_search" in self.model_fields_set and self.line_search != "none":
            raise UsageError(
                f"optimizer lbfgs: the line search {self.line_search} compares values of the loss, "
                "of which normalized gradients are not the slope; "
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
        from .line_search import armijo, strong_wolfe

        match self.line_search:
            case "none":
                return length, evaluate(image + length * direction)
            case "armijo":
                return armijo(image, start, direction, slope, length, evaluate)
            case "strong-wolfe":
                return strong_wolfe(image, start, direction, slope, length, evaluate)


def _same(gradient: Tensor) -> Tensor:
    return gradient


def _first_length(gradient: Tensor) -> float:
    (square,) = _dots((gradient, gradient))
    rms = (square / gradient.numel()) ** 0.5
    return _FIRST_STEP_RMS / rms if rms > 0 else 0.0


def _dots(*pairs: tuple[Tensor, Tensor]) -> list[float]:
    """Inner products; the device is waited for once."""
    import torch

    values: list[float] = torch.stack(
        [torch.dot(a.flatten(), b.flatten()) for a, b in pairs]
    ).tolist()
    return values
