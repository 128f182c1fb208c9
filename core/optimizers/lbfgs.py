"""Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 7.5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from ..errors import UsageError
from ..objective import Evaluation
from .base import Evaluate, Iterate, Optimizer
from .line_search import armijo, strong_wolfe
from .spectrum import Spectrum

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

    def pictures(self, steps: int) -> int:
        """See Optimizer. The pairs, two images, two gradients, a direction; the bands' places, and
        what their sums take."""
        return 2 * min(self.history, steps) + 5 + (3 if self.scaling == "spectral" else 0)

    def iterate(self, image: Tensor, evaluate: Evaluate, step_scale: float) -> Iterator[Iterate]:
        """See Optimizer."""
        evaluation = evaluate(image)
        spectrum = Spectrum(image) if self.scaling == "spectral" else None
        pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=self.history)
        while True:
            yield Iterate(image, evaluation)
            gradient = evaluation.gradient
            direction = _direction(gradient, pairs, spectrum)
            if _dot(direction, gradient) >= 0:  # rounding has spoiled the curvature: start afresh
                pairs.clear()
                direction = -gradient
            length = step_scale if pairs else step_scale * _first_length(gradient)
            step, new = self._search(image, evaluation, direction, length, evaluate)
            moved, change = step * direction, new.gradient - gradient
            curvature = _dot(moved, change)
            if curvature > 1e-10 * _dot(change, change) ** 0.5 * _dot(moved, moved) ** 0.5:
                pairs.append((moved, change, 1 / curvature))
                if spectrum:
                    spectrum.learn(moved, change)
            image, evaluation = image + moved, new

    def without_values(self) -> LBFGS:
        """See Optimizer."""
        if "line_search" in self.model_fields_set and self.line_search != "none":
            raise UsageError(
                f"optimizer lbfgs: the line search {self.line_search} compares values of the loss, "
                "of which normalized gradients are not the slope; set the optimizer's line_search "
                'to "none" in the job, or use --optimizer adam'
            )
        return self.model_copy(update={"line_search": "none"})

    def _search(
        self, image: Tensor, start: Evaluation, direction: Tensor, length: float, evaluate: Evaluate
    ) -> tuple[float, Evaluation]:
        slope = _dot(direction, start.gradient)
        match self.line_search:
            case "none":
                return length, evaluate(image + length * direction)
            case "armijo":
                return armijo(image, start, direction, slope, length, evaluate)
            case "strong-wolfe":
                return strong_wolfe(image, start, direction, slope, length, evaluate)


def _direction(
    gradient: Tensor, pairs: deque[tuple[Tensor, Tensor, float]], spectrum: Spectrum | None
) -> Tensor:
    """Minus the inverse Hessian estimate times the gradient (the two-loop recursion)."""
    vector = -gradient
    coefficients = []
    for moved, change, inverse_curvature in reversed(pairs):
        coefficient = inverse_curvature * _dot(moved, vector)
        coefficients.append(coefficient)
        vector = torch.add(vector, change, alpha=-coefficient)
    if pairs:
        _, change, inverse_curvature = pairs[-1]
        scale = 1 / (inverse_curvature * _dot(change, change))
        vector = spectrum.scaled(vector, scale) if spectrum else scale * vector
    for moved, change, inverse_curvature in pairs:
        correction = coefficients.pop() - inverse_curvature * _dot(change, vector)
        vector = torch.add(vector, moved, alpha=correction)
    return vector


def _first_length(gradient: Tensor) -> float:
    rms = (_dot(gradient, gradient) / gradient.numel()) ** 0.5
    return _FIRST_STEP_RMS / rms if rms > 0 else 0.0


def _dot(a: Tensor, b: Tensor) -> float:
    return torch.dot(a.flatten(), b.flatten()).item()
