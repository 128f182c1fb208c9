"""Adam (Kingma and Ba 2015, algorithm 1) with averaged iterates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from ..interfaces.optimizer import Evaluate, Iterate, Optimizer

if TYPE_CHECKING:
    from torch import Tensor

_BETA1, _BETA2, _EPSILON = 0.9, 0.99, 1e-8


class Adam(Optimizer):
    """Adam; its result is an exponential average of the iterates, which reduces their noise.

    The average is corrected for its initial bias as Adam corrects its moments, so that the first
    result is the first iterate.
    """

    step_size: float = Field(
        default=0.02, gt=0, allow_inf_nan=False, description="pixel change per step, in [0, 1]"
    )
    averaging: float = Field(
        default=0.99, ge=0, lt=1, description="decay of the average of iterates; 0 averages nothing"
    )

    def images_held(self, steps: int) -> int:
        """Return 8; see Optimizer.images_held.

        They are two moments, the average before and after its correction, a divisor, the image and
        two gradients.
        """
        return 8

    def iterate(
        self, image: Tensor, evaluate: Evaluate, step_scale: float, steps: int
    ) -> Iterator[Iterate]:
        """Yield the starting point, then the averaged iterates; see Optimizer.iterate."""
        import torch

        step_size, decay = step_scale * self.step_size, self.averaging
        first, second = torch.zeros_like(image), torch.zeros_like(image)
        average = torch.zeros_like(image)
        evaluation = evaluate(image)
        yield Iterate(image, evaluation)
        step = 0
        while True:
            step += 1
            gradient = evaluation.gradient
            first = torch.lerp(first, gradient, 1 - _BETA1)
            second = torch.lerp(second, gradient.square(), 1 - _BETA2)
            corrected = (second / (1 - _BETA2**step)).sqrt() + _EPSILON
            image = image - step_size / (1 - _BETA1**step) * first / corrected
            average = torch.lerp(average, image, 1 - decay)
            evaluation = evaluate(image)
            yield Iterate(average / (1 - decay**step), evaluation)
