"""Warping of images by optical flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor


def warped(
    image: Tensor, flow: Tensor, interpolation: Literal["bilinear", "bicubic"] = "bicubic"
) -> Tensor:
    """Return the former image (1, C, H, W) as it is seen at the present frame.

    `flow` (1, 2, H, W) is the displacement of each pixel of the present frame to the former one,
    in pixels: to the right, and down. Beyond the edges the outermost pixels are repeated. Where the
    flow is zero, the result is the image itself, bit for bit.
    """
    import torch
    from torch.nn import functional

    height, width = image.shape[2:]
    rows = torch.arange(height, dtype=flow.dtype, device=flow.device)
    columns = torch.arange(width, dtype=flow.dtype, device=flow.device)
    x = (columns + flow[:, 0] + 0.5) * (2 / width) - 1
    y = (rows[:, None] + flow[:, 1] + 0.5) * (2 / height) - 1
    moved = functional.grid_sample(
        image,
        torch.stack([x, y], 3),
        mode=interpolation,
        padding_mode="border",
        align_corners=False,
    )
    still = (flow == 0).all(1, keepdim=True)
    return torch.where(still, image, moved)
