"""Padding of convolutions: what they see beyond the image's edges.

Zeros, with which most networks were trained, are the mean color beyond the edge of the image and no
activation beyond the edge of a map: the network sees a border there, and results get a frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

#: One of torch's modes for every convolution; or "replicate" for the first alone, the one that sees
#: the pixels, and zeros for the others, as they were trained.
Padding = Literal["zeros", "replicate-first", "replicate", "reflect", "circular"]

DESCRIPTION = (
    "what convolutions see beyond the edges: zeros, the edge repeated (by the first convolution "
    "alone, or by all), the image mirrored, or its opposite edge"
)


def set_padding(model: nn.Module, padding: Padding) -> bool:
    """Set the padding mode of a model's convolutions, in the order of its modules.

    Returns whether any convolution pads.
    """
    from torch import nn

    padded = [
        module for module in model.modules() if isinstance(module, nn.Conv2d) and _pads(module)
    ]
    mode = "replicate" if padding == "replicate-first" else padding
    for convolution in padded[:1] if padding == "replicate-first" else padded:
        convolution.padding_mode = mode
    return bool(padded)


def _pads(convolution: nn.Conv2d) -> bool:
    return isinstance(convolution.padding, tuple) and any(convolution.padding)
