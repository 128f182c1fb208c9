"""Built-in parametrisations: pixels, a Laplacian pyramid, spatial frequencies."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from pydantic import Field

from ..interfaces.optimizer import Parametrization

if TYPE_CHECKING:
    from torch import Tensor

#: Least side of a pyramid's level, in pixels.
_LEAST_SIDE = 2


class Pixels(Parametrization):
    """The pixels themselves."""

    are_pixels = True

    def encode(self, image: Tensor) -> Tensor:
        """Return the image."""
        return image

    def decode(self, parameters: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the parameters."""
        return parameters


class Laplacian(Parametrization):
    """A Laplacian pyramid (Burt and Adelson 1983), so that a step may change large areas at once.

    Each level is half as large as the one before, by bilinear interpolation, and has what the next
    one lacks; the image is the sum of all levels, enlarged. The parameters are (N, 3, 1, P): the
    pixels of the levels one after the other, the finest level first.

    Kolkin, Salavon and Shakhnarovich 2019, "Style Transfer by Relaxed Optimal Transport and
    Self-Similarity", section 2.4.
    """

    size_ratio = 4 / 3

    levels: int = Field(
        default=8, ge=1, le=16, description="levels of detail, as far as the image has the pixels"
    )

    def encode(self, image: Tensor) -> Tensor:
        """Return the levels of an image (N, 3, H, W), one after the other."""
        import torch

        parts = []
        for _, smaller in zip(sizes := self._sizes(image.shape[2:]), sizes[1:], strict=False):
            coarse = _resized(image, smaller)
            parts.append(image - _resized(coarse, image.shape[2:]))
            image = coarse
        return torch.cat([part.flatten(2) for part in (*parts, image)], 2)[:, :, None]

    def decode(self, parameters: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the sum of the levels, enlarged."""
        import torch

        sizes = self._sizes(size)
        levels = torch.split(parameters[:, :, 0], [prod(level) for level in sizes], 2)
        *finer, image = [
            level.reshape(*level.shape[:2], *level_size)
            for level, level_size in zip(levels, sizes, strict=True)
        ]
        for level in reversed(finer):
            image = level + _resized(image, level.shape[2:])
        result: Tensor = image
        return result

    def _sizes(self, size: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Return the sizes of the levels, from the image's on."""
        sizes = [tuple(size)]
        while len(sizes) <= self.levels:
            smaller = tuple(side // 2 for side in sizes[-1])
            if min(smaller) < _LEAST_SIDE:
                break
            sizes.append(smaller)
        return sizes


class Fourier(Parametrization):
    """Spatial frequencies, of which the low ones are moved further in a step.

    A parameter is the image's discrete Hartley transform at a frequency f, which is its Fourier
    transform in real numbers, divided by a factor that is proportional to 1 / f^`decay`. Images of
    independent parameters then have the spectrum of natural ones. The factors' mean square is 1.

    Olah, Mordvintsev and Schubert 2017, "Feature Visualization".
    """

    decay: float = Field(
        default=1.0, ge=0, le=2, description="decay of the factors with the frequency; 0: all alike"
    )

    def encode(self, image: Tensor) -> Tensor:
        """Return the scaled frequencies of an image (N, 3, H, W), of its shape."""
        return _hartley(image) / self._factors(image)

    def decode(self, parameters: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the image of the frequencies."""
        return _hartley(parameters * self._factors(parameters))

    def _factors(self, image: Tensor) -> Tensor:
        import torch

        height, width = image.shape[2:]
        rows, columns = (
            torch.fft.fftfreq(side, dtype=image.dtype, device=image.device)
            for side in (height, width)
        )
        frequency = torch.hypot(rows[:, None], columns).clamp_min(1 / max(height, width))
        factors = frequency**-self.decay
        scaled: Tensor = factors / factors.square().mean().sqrt()
        return scaled


def _resized(image: Tensor, size: tuple[int, ...]) -> Tensor:
    from torch.nn import functional

    return functional.interpolate(image, tuple(size), mode="bilinear")


def _hartley(image: Tensor) -> Tensor:
    """Return the orthonormal discrete Hartley transform, which is its own inverse."""
    import torch

    spectrum: Tensor = torch.fft.fft2(image, norm="ortho")
    return spectrum.real - spectrum.imag
