"""Convolutions by Winograd's algorithm at the sizes where it is faster."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.interfaces.trunk import ChainTrunk
from .winograd import adjoint, convolve, transformed

#: Least numbers of channels (the smaller and the larger of a kernel's two numbers) and of tiles of
#: 4x4 outputs at which Winograd's algorithm is used. Measured with VGG-19's layers on two cores
#: (`python -m stylectl.tools.maintenance.layer_table`): with fewer channels its additions take as
#: long as it saves in products; with fewer tiles, reading the transformed kernels does.
_FEWER_CHANNELS, _MORE_CHANNELS, _TILES = 128, 256, 40


class FastConvolution(nn.Conv2d):
    """A frozen 3x3 convolution, by Winograd's algorithm at the sizes where that is faster.

    Its results differ from the direct ones by a few 1e-6 of their norm, about four times as much as
    the direct ones differ from those in float64.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        """Share the weights of `convolution`, which must be `suitable`."""
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
        if not _is_faster(x.shape[2:]):
            return super().forward(x)
        if self.padding_mode == "zeros":
            return convolve(x, self._kernel, (1, 1))
        framed = functional.pad(x, (1, 1, 1, 1), mode=self.padding_mode)
        return convolve(framed, self._kernel, (0, 0))

    def input_gradient(self, gradient: Tensor, padding: tuple[int, int]) -> Tensor | None:
        """Return the gradient at the input from that at the output, or None for small sizes.

        It includes the input's frame of one pixel, less `padding` on each side. At small sizes the
        direct convolution is faster.
        """
        return adjoint(gradient, self._kernel, padding) if _is_faster(gradient.shape[2:]) else None


def suitable(step: nn.Module) -> bool:
    """Return whether a FastConvolution can replace the step, and is faster for large images."""
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
    """Replace the trunk's suitable convolutions by FastConvolutions."""
    for index, step in enumerate(trunk.steps):
        if isinstance(step, nn.Conv2d) and suitable(step):
            trunk.steps[index] = FastConvolution(step)


def _is_faster(size: torch.Size) -> bool:
    height, width = size
    return -(-height // 4) * -(-width // 4) >= _TILES
