"""Variables of the optimisation: the parameters of the image that is evaluated and shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..attribution import attributed_to
from ..errors import PluginError
from ..interfaces.optimizer import Evaluate, Evaluation, Parametrization
from .colors import OwnColors


@dataclass(frozen=True)
class Variables:
    """The optimizer's parameters at one scale, of `size` (height, width).

    The parametrisation's image is evaluated; `colors` make the image to show from it. `label` names
    the parametrisation in messages.
    """

    parametrization: Parametrization
    colors: OwnColors
    size: tuple[int, int]
    label: str

    def encode(self, image: Tensor) -> Tensor:
        """Return the parameters for an image (1, 3, H, W) to start from.

        Raises PluginError for what are no parameters.
        """
        with attributed_to(self.label):
            parameters = self.parametrization.encode(self.colors.encode(image))
        if not isinstance(parameters, Tensor) or parameters.ndim != 4:
            raise PluginError(f"{self.label} must encode an image as a tensor of four dimensions")
        if parameters.dtype != image.dtype or parameters.device != image.device:
            raise PluginError(
                f"{self.label} must give parameters of {image.dtype} on {image.device}"
            )
        return parameters

    def image(self, parameters: Tensor) -> Tensor:
        """Return the image (1, 3, H, W) that is evaluated. Raises PluginError for another shape."""
        with attributed_to(self.label):
            image = self.parametrization.decode(parameters, self.size)
        if not isinstance(image, Tensor) or image.shape != (len(parameters), 3, *self.size):
            raise PluginError(
                f"{self.label} must decode parameters to an image of {self.size[1]}x{self.size[0]}"
            )
        # Parameters that move the channels apart would leave the gray images.
        return image if self.parametrization.are_pixels else self.colors.encode(image)

    def shown(self, parameters: Tensor) -> Tensor:
        """Return the image to show, (1, 3, H, W)."""
        return self.colors.decode(self.image(parameters))

    def objective(self, evaluate: Evaluate) -> Callable[[Tensor], Evaluation]:
        """Return the objective as a function of the parameters, with its gradient by them."""

        def evaluated(parameters: Tensor) -> Evaluation:
            leaf = parameters.detach().requires_grad_()
            with torch.enable_grad():
                image = self.image(leaf)
            evaluation = self.colors.restrict(evaluate(image.detach()))
            if image is leaf:
                return evaluation
            with attributed_to(f"the gradient of {self.label}"):
                (gradient,) = torch.autograd.grad(image, leaf, evaluation.gradient)
            return replace(evaluation, gradient=gradient)

        return evaluated

    def fit(self, parameters: Tensor) -> bool:
        """Return whether parameters, of a checkpoint, have the shape of this scale's."""
        image = torch.zeros(1, 3, *self.size, device=parameters.device)
        return self.encode(image).shape == parameters.shape
