"""Inverse Hessian of L-BFGS: curvature pairs, and the matrix that they start from."""

from __future__ import annotations

import torch
from torch import Tensor

from ..interfaces.optimizer import OptimizerState
from .curvature_pairs import CurvaturePairs
from .spectral_scaling import SpectralScaling


class InverseHessian:
    """Approximation of the inverse Hessian, learned from the steps of a minimisation.

    Without curvature it is the identity. The matrix H_0 that the pairs start from is the inverse
    curvature along the last step, for all frequencies or for each band of them.
    """

    def __init__(self, most: int, like: Tensor, spectral: bool) -> None:
        """Allocate memory for up to `most` pairs of images of the shape of `like`."""
        self._spectrum = SpectralScaling(like) if spectral else None
        self._pairs = CurvaturePairs(most, like)
        self._inverse_curvature: float | None = None  # None: H_0 is the identity

    @property
    def learned(self) -> bool:
        """True if there is a curvature pair."""
        return len(self._pairs) > 0

    def times(self, gradient: Tensor) -> Tensor:
        """Return the product with a gradient."""
        return self._pairs.inverse_hessian_times(gradient, self._initial)

    def forget(self) -> None:
        """Become the identity; the spectrum's averages stay."""
        self._pairs.clear()
        self._inverse_curvature = None

    def learn(self, step: Tensor, gradient_change: Tensor) -> None:
        """Update from a step and the change of the gradient, unless the curvature is too small."""
        curvature, change_square, step_square = dots(
            (step, gradient_change), (gradient_change, gradient_change), (step, step)
        )
        if curvature > 1e-10 * change_square**0.5 * step_square**0.5:
            self._pairs.add(step, gradient_change)
            self._inverse_curvature = curvature / change_square
            if self._spectrum:
                self._spectrum.learn(step, gradient_change)

    def state(self) -> OptimizerState:
        """Return all that was learned, to restore it from."""
        pairs = self._pairs.state()
        spectrum = {"spectrum": self._spectrum.products} if self._spectrum else {}
        return OptimizerState(
            {**pairs.tensors, **spectrum},
            {**pairs.values, "inverse_curvature": self._inverse_curvature},
        )

    def restore(self, state: OptimizerState) -> None:
        """Restore what was learned in a `state`."""
        self._pairs.restore(state)
        self._inverse_curvature = state.values["inverse_curvature"]
        if self._spectrum:
            self._spectrum.restore(state.tensors["spectrum"])

    def _initial(self, gradient: Tensor) -> Tensor:
        if self._inverse_curvature is None:
            return gradient
        if self._spectrum:
            return self._spectrum.scaled(gradient, self._inverse_curvature)
        return torch.mul(gradient, self._inverse_curvature)


def dots(*pairs: tuple[Tensor, Tensor]) -> list[float]:
    """Return the inner products of pairs of images; waits for the device once."""
    values: list[float] = torch.stack(
        [torch.dot(a.flatten(), b.flatten()) for a, b in pairs]
    ).tolist()
    return values
