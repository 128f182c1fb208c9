"""What convolutions see beyond the picture's edges.

Zeros, with which most networks were trained, are the mean color beyond the edge of the image and
nothing at all beyond the edge of a map: the network sees a border there, and pictures get a frame.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

#: One of torch's modes for every convolution; or "replicate" for the first alone, the one that sees
#: the pixels, and zeros for the others, as they were trained.
Padding = Literal["zeros", "replicate-first", "replicate", "reflect", "circular"]

DESCRIPTION = (
    "what convolutions see beyond the edges: zeros, the edge repeated (by the first convolution "
    "alone, or by all), the picture mirrored, or its opposite edge"
)


def set_padding(model: nn.Module, padding: Padding) -> bool:
    """Sets the mode of a model's convolutions, in the order of its modules. Returns whether there
    was any to set."""
    found = [each for each in model.modules() if isinstance(each, nn.Conv2d) and _pads(each)]
    mode = "replicate" if padding == "replicate-first" else padding
    for convolution in found[:1] if padding == "replicate-first" else found:
        convolution.padding_mode = mode
    return bool(found)


def _pads(convolution: nn.Conv2d) -> bool:
    return isinstance(convolution.padding, tuple) and any(convolution.padding)
