"""Attention in shifted windows, without torchvision's branches on the image's size.

The algorithm is that of Liu et al. 2021, "Swin Transformer", and Liu et al. 2022, "Swin Transformer
V2". Where a map is no larger than a window, it is not shifted. torchvision decides that by an `if`,
of which an export keeps the one branch that its example takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional

#: Name of torchvision's function.
_REPLACED = "shifted_window_attention"


def with_any_size(network: fx.GraphModule) -> fx.GraphModule:
    """Replace torchvision's attention in shifted windows by that of this module, in place."""
    for node in network.graph.nodes:
        name = getattr(node.target, "__name__", "")
        if node.op == "call_function" and name == _REPLACED and any(node.kwargs["shift_size"]):
            node.target = shifted_window_attention
    network.recompile()
    return network


def shifted_window_attention(
    maps: Tensor,
    qkv_weight: Tensor,
    proj_weight: Tensor,
    relative_position_bias: Tensor,
    window_size: Sequence[int],
    num_heads: int,
    shift_size: Sequence[int],
    qkv_bias: Tensor | None = None,
    proj_bias: Tensor | None = None,
    logit_scale: Tensor | None = None,
    **_dropout: Any,
) -> Tensor:
    """Return the attention of each window of maps (N, H, W, C), in their shape.

    The maps are padded to whole windows and rolled by `shift_size`, so that windows join what was
    apart; positions from opposite ends of a map do not attend to each other. The argument
    `relative_position_bias` is (1, heads, P, P) for the P positions of a window. With
    `logit_scale`, attention is by cosines.
    """
    count, height, width, channels = maps.shape
    tall, wide = window_size
    x = functional.pad(maps, (0, 0, 0, -width % wide, 0, -height % tall))
    full_height, full_width = x.shape[1:3]
    smaller: Any = torch.sym_min  # of sizes that an export does not know yet
    # A map has whole windows: its size less a window's is 0, or more than any shift.
    down = smaller(shift_size[0], full_height - tall)
    right = smaller(shift_size[1], full_width - wide)
    x = _rolled(_rolled(x, down, 1), right, 2)
    rows, columns = full_height // tall, full_width // wide
    positions = tall * wide
    x = x.view(count, rows, tall, columns, wide, channels).transpose(2, 3)
    x = x.reshape(count * rows * columns, positions, channels)
    if logit_scale is not None and qkv_bias is not None:  # its keys have no bias
        query, _, value = qkv_bias.chunk(3)
        qkv_bias = torch.cat([query, torch.zeros_like(query), value])
    qkv = functional.linear(x, qkv_weight, qkv_bias)
    qkv = qkv.view(-1, positions, 3, num_heads, channels // num_heads).permute(2, 0, 3, 1, 4)
    query, key, value = qkv[0], qkv[1], qkv[2]
    if logit_scale is not None:
        query, key = functional.normalize(query, dim=-1), functional.normalize(key, dim=-1)
        scale = logit_scale.clamp(max=math.log(100.0)).exp()
        attention = query @ key.transpose(-2, -1) * scale
    else:
        attention = (query * (channels // num_heads) ** -0.5) @ key.transpose(-2, -1)
    attention = attention + relative_position_bias
    regions = 3 * _regions(full_height, tall, down, x)[:, None]
    regions = regions + _regions(full_width, wide, right, x)[None]
    regions = regions.view(rows, tall, columns, wide).transpose(1, 2)
    regions = regions.reshape(rows * columns, positions)
    apart = (regions[:, None] != regions[:, :, None]).to(x.dtype) * -100.0
    attention = attention.view(count, rows * columns, num_heads, positions, positions)
    attention = (attention + apart[None, :, None]).view(-1, num_heads, positions, positions)
    x = (attention.softmax(-1) @ value).transpose(1, 2).reshape(-1, positions, channels)
    x = functional.linear(x, proj_weight, proj_bias)
    x = x.view(count, rows, columns, tall, wide, channels).transpose(2, 3)
    x = x.reshape(count, full_height, full_width, channels)
    x = _rolled(_rolled(x, full_height - down, 1), full_width - right, 2)
    return x[:, :height, :width].contiguous()


def _rolled(x: Tensor, start: int, axis: int) -> Tensor:
    """Return the tensor from position `start` on, followed by the part before it."""
    size = x.shape[axis]
    return torch.cat([x.narrow(axis, start, size - start), x.narrow(axis, 0, start)], axis)


def _regions(size: int, window: int, shift: int, like: Tensor) -> Tensor:
    """Return the number of the part, 0 to 2, to which each position of a rolled axis belongs."""
    positions = torch.arange(size, device=like.device)
    return (positions >= size - window).long() + (positions >= size - shift).long()
