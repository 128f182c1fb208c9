"""Matrix products of whole layers, which give a layer in the layout of another.

On the CPU they run as 1x1 convolutions: torch's convolutions (oneDNN) take a layer in either layout
as it lies in memory, give one in the same layout, and use all of the processor; its matrix products
(MKL) are half as fast on some processors.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_weight


def outer_products(maps: Tensor) -> Tensor:
    """sum_k F_ik F_jk over the positions k: (N, C, H, W) -> (N, C, C)."""
    if not _as_convolutions(maps):
        rows = maps.flatten(2)
        return rows @ rows.mT
    channels = maps.shape[1]
    shape = (channels, channels, 1, 1)
    grams: list[Tensor] = [
        conv2d_weight(each, shape, each)  # type: ignore[no-untyped-call]
        for each in torch.split(maps, 1)
    ]
    return torch.stack(grams).view(-1, channels, channels)


def mixed_channels(matrices: Tensor, maps: Tensor) -> Tensor:
    """sum_j M_ij F_jk: matrices (N, C', C) and maps (N, C, H, W) -> (N, C', H, W)."""
    if not _as_convolutions(maps):
        if not maps.is_contiguous(memory_format=torch.channels_last):
            return (matrices @ maps.flatten(2)).view(len(maps), -1, *maps.shape[2:])
        rows = maps.permute(0, 2, 3, 1).flatten(1, 2)
        return (rows @ matrices.mT).view(len(maps), *maps.shape[2:], -1).permute(0, 3, 1, 2)
    kernels = matrices[..., None, None].unbind()
    pairs = zip(torch.split(maps, 1), kernels, strict=True)
    found = [functional.conv2d(each, kernel) for each, kernel in pairs]
    return found[0] if len(found) == 1 else torch.cat(found)


def _as_convolutions(maps: Tensor) -> bool:
    return maps.device.type == "cpu" and maps.dtype == torch.float32
