"""Parametrisations: how the pixels that the optimizer moves become those that are shown."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..images.inputs import Inputs
from ..images.luma import luma
from ..job.model import ColorFrom
from ..objective.evaluation import Evaluation
from ..sizes.pyramid import Scale


class Parametrization:
    """The identity: the optimizer moves the pixels that are shown."""

    def encode(self, image: Tensor) -> Tensor:
        """The optimizer's image for an image (1, 3, H, W) to start from."""
        return image

    def restrict(self, evaluation: Evaluation) -> Evaluation:
        """The evaluation with the part of the gradient that the optimizer's image can follow."""
        return evaluation

    def decode(self, image: Tensor) -> Tensor:
        """The shown image of the optimizer's (1, 3, H, W)."""
        return image


@dataclass(frozen=True)
class LuminanceParametrization(Parametrization):
    """The optimizer's image is gray; shown, it has the colors of the content (1, 3, H, W).

    Gatys, Bethge, Hertzmann and Shechtman 2016, "Preserving Color in Neural Artistic Style
    Transfer", section 3.2.
    """

    content: Tensor

    def encode(self, image: Tensor) -> Tensor:
        """Y in every channel."""
        return luma(image).expand_as(image).contiguous()

    def restrict(self, evaluation: Evaluation) -> Evaluation:
        """The part of the gradient along which a gray image stays gray."""
        gradient = evaluation.gradient
        even = gradient.mean(1, keepdim=True).expand_as(gradient).contiguous()
        return replace(evaluation, gradient=even)

    def decode(self, image: Tensor) -> Tensor:
        """The image's Y with the content's I and Q. Where that is no color, they are reduced
        together, which keeps the hue, and the luminance exactly."""
        light = luma(image).clamp(0, 1)
        chroma = self.content - luma(self.content)
        room = torch.where(chroma > 0, 1 - light, light)
        most = (room / chroma.abs().clamp_min(1e-6)).amin(1, keepdim=True).clamp_max(1)
        return light + most * chroma


def parametrization_for(
    inputs: Inputs, color: ColorFrom, scale: Scale, device: torch.device
) -> Parametrization:
    """The parametrisation of a job's `color`, for the images as they were read."""
    if color != "luminance":
        return Parametrization()
    assert inputs.content is not None  # the job's validation sees to it
    return LuminanceParametrization(inputs.content.tensor(scale.height, scale.width).to(device))
