"""Reliability of optical flow: where a pixel has a counterpart in the former frame.

Sundaram, Brox and Keutzer 2010, "Dense Point Trajectories by GPU-Accelerated Large Displacement
Optical Flow"; with the constants of Ruder, Dosovitskiy and Brox 2016, "Artistic Style Transfer for
Videos", equations 5 and 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def reliable(flow: Tensor, reverse: Tensor) -> Tensor:
    """Return where a flow (1, 2, H, W) from the present frame to a former one is reliable.

    `reverse` is the flow from the former frame to the present one. The result is (1, 1, H, W), 1 or
    0. A pixel is not reliable if

    - it leaves the frame;
    - the way back does not lead to it, since it is hidden in the former frame,

        |w + w'|^2 > 0.01 (|w|^2 + |w'|^2) + 0.5

      where w is its flow and w' the reverse flow at its counterpart;
    - it is at the boundary of a motion, |grad u|^2 + |grad v|^2 > 0.01 |w|^2 + 0.002.
    """
    from .warping import warped

    back = warped(reverse, flow, "bilinear")
    length, length_back = _squared_length(flow), _squared_length(back)
    is_visible = _squared_length(flow + back) <= 0.01 * (length + length_back) + 0.5
    is_inside_motion = _squared_gradients(flow) <= 0.01 * length + 0.002
    return (is_visible & is_inside_motion & _inside(flow)).to(flow.dtype)


def comes_from_edge(flow: Tensor, margin: float) -> Tensor:
    """Return where a pixel was at the edge of the former frame, and is not at that of this one.

    It is true where the counterpart is less than `margin` pixels from an edge, and nearer to one
    than the pixel is. The network sees nothing beyond the edges, so that a result has a rim there,
    which must not wander into the frame. `flow` is (1, 2, H, W), the result (1, 1, H, W).
    """
    import torch

    height, width = flow.shape[2:]
    x = torch.arange(width, dtype=flow.dtype, device=flow.device).expand(height, width)
    y = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None].expand(height, width)
    former = _distance_to_edge(x + flow[:, 0], y + flow[:, 1], width, height)
    return ((former < margin) & (former + 0.5 < _distance_to_edge(x, y, width, height)))[:, None]


def _distance_to_edge(x: Tensor, y: Tensor, width: int, height: int) -> Tensor:
    import torch

    across, down = torch.minimum(x, width - 1 - x), torch.minimum(y, height - 1 - y)
    return torch.minimum(across, down)


def _squared_length(flow: Tensor) -> Tensor:
    return flow.square().sum(1, keepdim=True)


def _squared_gradients(flow: Tensor) -> Tensor:
    """Compute the squared lengths of the gradients of both components, by central differences."""
    from torch.nn import functional

    padded = functional.pad(flow, (1, 1, 1, 1), mode="replicate")
    across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    return (across.square() + down.square()).sum(1, keepdim=True)


def _inside(flow: Tensor) -> Tensor:
    """Return where the counterpart is within the frame; half a pixel beyond its edge counts."""
    import torch

    height, width = flow.shape[2:]
    x = torch.arange(width, dtype=flow.dtype, device=flow.device) + flow[:, 0]
    y = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None] + flow[:, 1]
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return inside[:, None]
