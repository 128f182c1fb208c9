"""OKLab (Ottosson 2020, "A perceptual color space for image processing").

It is applied to sRGB-encoded values as if they were linear ones, as in Neural Neighbor Style
Transfer: differences of dark colors count more than in OKLab proper.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

#: Matrix from R, G, B to the responses of the cones.
_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
#: Matrix from the cube roots of these to L, a, b.
_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def to_oklab(image: Tensor) -> Tensor:
    """Return L, a, b (N, 3, H, W) of an RGB image in [0, 1]."""
    return _mixed(_mixed(image, _matrix(_CONES)).clamp_min(0) ** (1 / 3), _matrix(_LAB))


def from_oklab(lab: Tensor) -> Tensor:
    """Return the RGB image (N, 3, H, W) of L, a, b; it may leave [0, 1]."""
    return _mixed(_mixed(lab, _matrix(_LAB).inverse()) ** 3, _matrix(_CONES).inverse())


def _matrix(rows: tuple[tuple[float, ...], ...]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def _mixed(image: Tensor, matrix: Tensor) -> Tensor:
    return functional.conv2d(image, matrix.to(image)[:, :, None, None])
