"""Colors of the result: the map from the optimizer's image to the one that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..images.colors.matching import ColorMatching, matching_for
from ..images.colors.palettes import Palette
from ..images.inputs import Inputs
from ..images.luma import luma
from ..interfaces.optimizer import Evaluation
from ..job.model import Job
from ..sizes.pyramid import Scale


class OwnColors:
    """The identity: the optimizer's image is shown."""

    def encode(self, image: Tensor) -> Tensor:
        """Return the optimizer's image for an image (1, 3, H, W) to start from."""
        return image

    def restrict(self, evaluation: Evaluation) -> Evaluation:
        """Return the evaluation with the gradient projected onto the optimizer's images."""
        return evaluation

    def decode(self, image: Tensor) -> Tensor:
        """Return the image to show for the optimizer's image (1, 3, H, W)."""
        return image


@dataclass(frozen=True)
class ContentColors(OwnColors):
    """A gray image for the optimizer; shown, it has the colors of the content (1, 3, H, W).

    Gatys, Bethge, Hertzmann and Shechtman 2016, "Preserving Color in Neural Artistic Style
    Transfer", section 3.2.
    """

    content: Tensor

    def encode(self, image: Tensor) -> Tensor:
        """Return the image's Y in every channel."""
        return luma(image).expand_as(image).contiguous()

    def restrict(self, evaluation: Evaluation) -> Evaluation:
        """Return the evaluation with the part of the gradient that keeps a gray image gray."""
        gradient = evaluation.gradient
        gray = gradient.mean(1, keepdim=True).expand_as(gradient).contiguous()
        return replace(evaluation, gradient=gray)

    def decode(self, image: Tensor) -> Tensor:
        """Return the image's Y with the content's I and Q.

        Outside of the RGB range, I and Q are reduced together, which keeps the hue, and the
        luminance exactly.
        """
        light = luma(image).clamp(0, 1)
        chroma = self.content - luma(self.content)
        room = torch.where(chroma > 0, 1 - light, light)
        factor = (room / chroma.abs().clamp_min(1e-6)).amin(1, keepdim=True).clamp_max(1)
        return light + factor * chroma


@dataclass(frozen=True)
class MatchedColors(OwnColors):
    """The optimizer's image, shown with matched colors."""

    matching: ColorMatching

    def decode(self, image: Tensor) -> Tensor:
        """Return the image with the matched colors."""
        return self.matching.apply(image)


def colors_for(
    inputs: Inputs, palettes: Sequence[Palette], job: Job, scale: Scale, device: torch.device
) -> OwnColors:
    """Return the colors of a job, for the images as they were read and their styles' palettes.

    For `luminance`, `histogram` and `covariance` the result has the colors of a content image that
    is gray, so that it is gray as well, however these colors are transferred.
    """
    if job.color == "style":
        return OwnColors()
    assert inputs.content is not None  # checked by the job's validation
    content = inputs.content.tensor(scale.height, scale.width).to(device)
    if job.color == "chroma":
        alpha = inputs.content.alpha_tensor(scale.height, scale.width)
        return MatchedColors(matching_for(content, alpha, palettes, job.seamless))
    if job.color == "luminance" or _is_gray(content):
        return ContentColors(content)
    return OwnColors()


def _is_gray(image: Tensor) -> bool:
    """Return whether the channels are equal, but for the rounding to 8 bits."""
    return (image.amax(1) - image.amin(1)).max().item() <= 1 / 255
