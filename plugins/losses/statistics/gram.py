"""Gram matrices, and products of matrices with a layer's features, in the layer's memory layout.

On the CPU they run as 1x1 convolutions: torch's convolutions (oneDNN) read a layer in either memory
layout without a copy, return the same layout, and use the whole processor; its matrix products
(MKL) are half as fast on some processors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_weight

from .sums import CHUNK


def gram_matrix(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """Compute the Gram matrix G_ij = sum_k w_k F_ik F_jk (eq. 3): (N, C, H, W) -> (N, C, C).

    It is summed over the positions k, with their weights (1, 1, H * W), if there are any.
    """
    gram: Tensor = _Gram.apply(features, weights)  # type: ignore[no-untyped-call]
    return gram


class _Gram(torch.autograd.Function):
    """Gram matrix whose vjp is one product.

    autograd would compute two products, one for each factor, although both factors are equal.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, features: Tensor, weights: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(features, weights)  # type: ignore[arg-type]  # None may be saved
        if weights is None:
            return outer_products(features)
        rows = features.flatten(2)
        gram = rows.new_zeros(rows.shape[0], rows.shape[1], rows.shape[1])
        for first in range(0, rows.shape[2], CHUNK):
            chunk = rows[..., first : first + CHUNK]
            gram.baddbmm_(chunk * weights[..., first : first + CHUNK].to(chunk), chunk.mT)
        return gram

    @staticmethod
    def backward(
        ctx: torch.autograd.function.BackwardCFunction, gradient: Tensor
    ) -> tuple[Tensor, None]:
        saved: Sequence[Any] = ctx.saved_tensors
        features, weights = saved
        product = mixed_channels(gradient + gradient.mT, features)
        if weights is not None:
            product *= weights.to(product).unflatten(2, features.shape[2:])
        return product, None


def outer_products(maps: Tensor) -> Tensor:
    """Compute sum_k F_ik F_jk over the positions k: (N, C, H, W) -> (N, C, C)."""
    if not _as_convolutions(maps):
        rows = maps.flatten(2)
        return rows @ rows.mT
    channels = maps.shape[1]
    shape = (channels, channels, 1, 1)
    grams: list[Tensor] = [
        conv2d_weight(image_maps, shape, image_maps)  # type: ignore[no-untyped-call]
        for image_maps in torch.split(maps, 1)
    ]
    return torch.stack(grams).view(-1, channels, channels)


def mixed_channels(matrices: Tensor, maps: Tensor) -> Tensor:
    """Compute sum_j M_ij F_jk: matrices (N, C', C), maps (N, C, H, W) -> (N, C', H, W)."""
    if not _as_convolutions(maps):
        if not maps.is_contiguous(memory_format=torch.channels_last):
            return (matrices @ maps.flatten(2)).view(len(maps), -1, *maps.shape[2:])
        rows = maps.permute(0, 2, 3, 1).flatten(1, 2)
        return (rows @ matrices.mT).view(len(maps), *maps.shape[2:], -1).permute(0, 3, 1, 2)
    kernels = matrices[..., None, None].unbind()
    pairs = zip(torch.split(maps, 1), kernels, strict=True)
    mixed = [functional.conv2d(image_maps, kernel) for image_maps, kernel in pairs]
    return mixed[0] if len(mixed) == 1 else torch.cat(mixed)


def _as_convolutions(maps: Tensor) -> bool:
    return maps.device.type == "cpu" and maps.dtype == torch.float32
