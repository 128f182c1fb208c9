"""Colors of what becomes visible in a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

#: Weight of the map that changes nothing, in pixels: it decides where hardly any pixel is known.
_PRIOR = 1.0


def recolored(image: Tensor, known: Tensor, weights: Tensor) -> Tensor:
    """Return the image with the colors that it would have in the known part of a result.

    Both images are (1, 3, H, W), `weights` (1, 1, H, W) in [0, 1] is where `known` is known. The
    colors are mapped by the linear function that maps those of the image to those of the result
    best, in the sense of least squares over the known pixels.
    """
    import torch

    pixels = image[0].flatten(1).T.double()
    colors = torch.cat([pixels, torch.ones_like(pixels[:, :1])], 1)
    targets, weight = known[0].flatten(1).T.double(), weights.flatten()[:, None].double()
    weighted = colors * weight
    identity = torch.eye(4, 3, dtype=colors.dtype, device=colors.device)
    prior = _PRIOR * torch.eye(4, dtype=colors.dtype, device=colors.device)
    map_of_colors = torch.linalg.solve(
        weighted.T @ colors + prior, weighted.T @ targets + prior @ identity
    )
    mapped = (colors @ map_of_colors).clamp(0, 1)
    result: Tensor = mapped.T.reshape(image.shape[1:])[None].to(image)
    return result
