"""Built-in initialisers: the images that the optimisation may start from."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ..interfaces.optimizer import Initializer, StartingPoint
from ..job.paths import JobPath

if TYPE_CHECKING:
    from torch import Tensor


class FromContent(Initializer):
    """The content image itself."""

    shows_content = True
    random = False

    detail: bool = Field(
        default=True, description="add the content's detail at each finer scale as well"
    )

    @property
    def carries_detail(self) -> bool:
        """The option `detail`."""
        return self.detail

    def image(self, start: StartingPoint) -> Tensor:
        """Return a copy of the content image."""
        return start.content.clone()


class FromContentWithNoise(Initializer):
    """The content image plus a little white noise: the paper's start."""

    shows_content = True

    noise: float = Field(
        default=0.02, gt=0, le=1, description="standard deviation, where 1 is white minus black"
    )

    def image(self, start: StartingPoint) -> Tensor:
        """Return the content image plus Gaussian noise."""
        return start.content + self.noise * _gaussian(start)


class FromNoise(Initializer):
    """White noise around the mid grey."""

    noise: float = Field(
        default=0.1, gt=0, le=1, description="standard deviation, where 1 is white minus black"
    )

    def image(self, start: StartingPoint) -> Tensor:
        """Return Gaussian noise around 0.5."""
        return 0.5 + self.noise * _gaussian(start)


class FromColorWithDetail(Initializer):
    """The style images' mean color with the content image's finest detail.

    The detail is the finest level of a Laplacian pyramid. Kolkin, Salavon and Shakhnarovich 2019,
    "Style Transfer by Relaxed Optimal Transport and Self-Similarity", section 2.4.
    """

    shows_content = True
    random = False

    def image(self, start: StartingPoint) -> Tensor:
        """Return the styles' (weighted) mean color plus the content's detail."""
        from torch.nn import functional

        size = start.content.shape[2:]
        half = [max(side // 2, 1) for side in size]
        coarse = functional.interpolate(start.content, half, mode="bilinear")
        detail = start.content - functional.interpolate(coarse, tuple(size), mode="bilinear")
        mean, _ = _color_statistics(start)
        return detail + mean.view(1, 3, 1, 1).to(detail)


class FromStyleStatistics(Initializer):
    """White noise with the style images' mean color and color covariance."""

    def image(self, start: StartingPoint) -> Tensor:
        """Return Gaussian noise, each pixel with the styles' (weighted) mean and covariance."""
        import torch

        mean, covariance = _color_statistics(start)
        values, vectors = torch.linalg.eigh(covariance)
        root = vectors * values.clamp_min(0).sqrt() @ vectors.T
        noise = _gaussian(start).cpu()
        image = torch.einsum("ij,njhw->nihw", root, noise) + mean.view(1, 3, 1, 1)
        return image.to(start.content.device)


class FromFile(Initializer):
    """An image file, scaled to the first scale's size."""

    random = False

    path: Annotated[str, JobPath] = Field(description="the image file")

    def image(self, start: StartingPoint) -> Tensor:
        """Return the file's pixels."""
        assert start.image is not None
        height, width = start.content.shape[-2:]
        return start.image.tensor(height, width).to(start.content.device)


def _color_statistics(start: StartingPoint) -> tuple[Tensor, Tensor]:
    """Return the mean (3) and the covariance (3, 3) of the styles' colors, by their weights."""
    import torch

    mean, covariance = torch.zeros(3), torch.zeros(3, 3)
    for (style, weight), opacity in zip_longest(start.styles, start.opacities):
        pixels = style[0].flatten(1).cpu()
        if opacity is None:
            mean += weight * pixels.mean(1)
            covariance += weight * torch.cov(pixels)
        else:
            opacities = opacity.flatten().cpu()
            mean += weight * (pixels * opacities).sum(1) / opacities.sum()
            covariance += weight * torch.cov(pixels, aweights=opacities)
    return mean, covariance


def _gaussian(start: StartingPoint) -> Tensor:
    """Return white noise, drawn on the CPU, so that a seed gives the same on every device."""
    import torch

    noise = torch.randn(start.content.shape, generator=start.generator)
    return noise.to(start.content.device)
