"""Convolutions that choose how they are computed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.interfaces.trunk import ChainTrunk
from .winograd import adjoint, convolve, transformed

#: Winograd's way pays from so many channels on, and so many tiles of 4x4 outputs. Measured with
#: VGG-19's layers on two cores (`python -m stylectl.tools.layer_table`): with fewer channels its
#: additions take as long as it saves in products; with fewer tiles reading the transformed kernels
#: does.
_FEWER_CHANNELS, _MORE_CHANNELS, _TILES = 128, 256, 40


class FastConvolution(nn.Conv2d):
    """A frozen 3x3 convolution, by Winograd's algorithm at the sizes where that pays.

    Its results differ from the direct ones by a few 1e-6 of their norm, about four times as much as
    the direct ones differ from float64's.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        """Shares the weights of `convolution`, which must be `suitable`."""
        super().__init__(
            convolution.in_channels,
            convolution.out_channels,
            kernel_size=3,
            padding=1,
            padding_mode=convolution.padding_mode,
            device="meta",
        )
        self.weight, self.bias = convolution.weight, convolution.bias
        self._kernel = transformed(convolution.weight, convolution.bias)

    def forward(self, x: Tensor) -> Tensor:
        """See nn.Conv2d."""
        if not _pays(x.shape[2:]):
            return super().forward(x)
        if self.padding_mode == "zeros":
            return convolve(x, self._kernel, (1, 1))
        framed = functional.pad(x, (1, 1, 1, 1), mode=self.padding_mode)
        return convolve(framed, self._kernel, (0, 0))

    def carried_back(self, gradient: Tensor, padding: tuple[int, int]) -> Tensor | None:
        """From the gradient at the output to that at the input, framed by what `padding` leaves of
        the frame of 1; None where the direct way is to be taken."""
        return adjoint(gradient, self._kernel, padding) if _pays(gradient.shape[2:]) else None


def suitable(step: nn.Module) -> bool:
    """Whether a FastConvolution can stand for the step, and pays for large pictures."""
    return (
        isinstance(step, nn.Conv2d)
        and step.kernel_size == (3, 3)
        and step.stride == step.dilation == (1, 1)
        and step.padding == (1, 1)
        and step.groups == 1
        and step.weight.device.type == "cpu"
        and step.weight.dtype == torch.float32
        and min(step.in_channels, step.out_channels) >= _FEWER_CHANNELS
        and max(step.in_channels, step.out_channels) >= _MORE_CHANNELS
    )


def make_fast(trunk: ChainTrunk) -> None:
    """Replace the trunk's suitable convolutions."""
    for index, step in enumerate(trunk.steps):
        if isinstance(step, nn.Conv2d) and suitable(step):
            trunk.steps[index] = FastConvolution(step)


def _pays(size: torch.Size) -> bool:
    height, width = size
    return -(-height // 4) * -(-width // 4) >= _TILES
