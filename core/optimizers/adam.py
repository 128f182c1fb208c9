"""Adam (Kingma and Ba 2015, algorithm 1) with averaged iterates."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from ..interfaces.optimizer import Iterate, Minimization, Optimizer, OptimizerState

_EPSILON = 1e-8


class Adam(Optimizer):
    """Adam; its result is an exponential average of the iterates, which reduces their noise.

    The average is corrected for its initial bias as Adam corrects its moments, so that the first
    result is the first iterate.
    """

    compares_steps = False

    step_size: float = Field(
        default=0.02, gt=0, allow_inf_nan=False, description="pixel change per step, in [0, 1]"
    )
    beta1: float = Field(default=0.9, ge=0, lt=1, description="decay of the gradient's average")
    beta2: float = Field(default=0.99, ge=0, lt=1, description="decay of the average of its square")
    averaging: float = Field(
        default=0.99, ge=0, lt=1, description="decay of the average of iterates; 0 averages nothing"
    )

    def images_held(self, steps: int) -> int:
        """Return 8; see Optimizer.images_held.

        They are two moments, the average before and after its correction, a divisor, the image and
        two gradients.
        """
        return 8

    def iterate(self, problem: Minimization) -> Iterator[Iterate]:
        """Yield the starting point, then the averaged iterates; see Optimizer.iterate."""
        import torch

        evaluate, step_size = problem.evaluate, problem.step_factor * self.step_size
        decay, resumed = self.averaging, problem.state
        beta1, beta2 = self.beta1, self.beta2
        if resumed is None:
            image, step = problem.image, 0
            first, second, average = (torch.zeros_like(image) for _ in range(3))
        else:
            image, step = resumed.tensors["point"], resumed.values["step"]
            first, second = resumed.tensors["first"], resumed.tensors["second"]
            average, gradient = resumed.tensors["average"], resumed.tensors["gradient"]
        del problem  # frees its images once they are replaced

        def state() -> OptimizerState:
            tensors = {"point": image, "gradient": gradient}
            tensors |= {"first": first, "second": second, "average": average}
            return OptimizerState(tensors, {"step": step})

        if resumed is None:
            evaluation = evaluate(image)
            gradient = evaluation.gradient
            yield Iterate(image, evaluation, state)
        del resumed
        while True:
            step += 1
            first = torch.lerp(first, gradient, 1 - beta1)
            second = torch.lerp(second, gradient.square(), 1 - beta2)
            corrected = (second / (1 - beta2**step)).sqrt() + _EPSILON
            image = image - step_size / (1 - beta1**step) * first / corrected
            average = torch.lerp(average, image, 1 - decay)
            evaluation = evaluate(image)
            gradient = evaluation.gradient
            yield Iterate(average / (1 - decay**step), evaluation, state)
