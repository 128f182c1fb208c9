"""3x3 convolutions with fewer products, by Winograd's F(4x4, 3x3).

The algorithm is that of Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks".
Each tile of 4x4 outputs is computed from 6x6 inputs d with 36 products for each pair of channels,
instead of 144: Y = A^T [(G g G^T) * (B^T d B)] A. The products of all tiles are 36 matrix products,
which run here as one grouped 1x1 convolution. The gradient with respect to the input is the adjoint
of the same three linear maps, with the same transformed kernel.

All tensors are channels last, and a strip of tiles is finished before the next is begun, so that
the 36 values for 16 outputs stay in the processor's cache and take little memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

#: Side of a tile's outputs, and of the inputs that they are computed from.
TILE, INPUTS = 4, 6
_PRODUCTS = INPUTS**2
#: Tiles in a strip: enough for fast matrix products, few enough for the cache.
_STRIP = 384

#: The matrix that transforms a kernel g to G g G^T.
G = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
#: Index of the one of the 36 products that A^T .. A adds to every output, and a bias with it.
_TO_ALL = INPUTS + 1


@dataclass(frozen=True)
class Kernel:
    """A transformed kernel (K, C, 3, 3).

    `products` are G g G^T, (36 K, C, 1, 1); `bias`, (36 K), is added to the results of their
    multiplication. They take four times the kernel's memory.
    """

    products: Tensor
    bias: Tensor


def transformed(kernel: Tensor, bias: Tensor | None) -> Kernel:
    """Transform a kernel (K, C, 3, 3), with its bias (K) if there is one."""
    outputs, inputs = kernel.shape[:2]
    g = torch.tensor(G, dtype=torch.float64)
    both_sides = torch.kron(g, g).to(kernel)
    columns = kernel.permute(2, 3, 0, 1).reshape(9, outputs * inputs)
    product_bias = kernel.new_zeros(_PRODUCTS, outputs)
    if bias is not None:
        product_bias[_TO_ALL] = bias
    products = (both_sides @ columns).view(_PRODUCTS * outputs, inputs, 1, 1)
    return Kernel(products, product_bias.flatten())


def convolve(x: Tensor, kernel: Kernel, padding: tuple[int, int]) -> Tensor:
    """Convolve x (N, C, H, W), padded with zeros.

    Returns (N, K, H + 2 p - 2, W + 2 q - 2) for a padding (p, q), channels last.
    """
    return _batch([_convolve(image, kernel, padding) for image in torch.split(x, 1)])


def adjoint(gradient: Tensor, kernel: Kernel, padding: tuple[int, int]) -> Tensor:
    """Return the gradient at the x of `convolve` from that at its output, both channels last."""
    return _batch([_adjoint(image, kernel.products, padding) for image in torch.split(gradient, 1)])


def _convolve(x: Tensor, kernel: Kernel, padding: tuple[int, int]) -> Tensor:
    outputs, inputs = len(kernel.products) // _PRODUCTS, kernel.products.shape[1]
    down, right = padding
    height, width = x.shape[2] + 2 * down - 2, x.shape[3] + 2 * right - 2
    tall, wide = -(-height // TILE), -(-width // TILE)
    source = x[0].permute(1, 2, 0)
    result = x.new_empty(TILE * tall, TILE * wide, outputs)
    for first, count in _strips(tall, wide):
        top, bottom = TILE * first - down, TILE * (first + count) + 2 - down
        visible = source[max(top, 0) : bottom]
        framed = x.new_zeros(bottom - top, TILE * wide + 2, inputs)
        framed[max(-top, 0) :][: len(visible), right : right + x.shape[3]] = visible
        rows = x.new_empty(count, INPUTS, TILE * wide + 2, inputs)
        _inputs(_every_fourth(framed, count, 0), rows.unbind(1))
        values = x.new_empty(count, wide, INPUTS, INPUTS, inputs)
        _inputs(_every_fourth(rows, wide, 2, 1), values.unbind(3))
        products = functional.conv2d(
            _as_image(values), kernel.products, kernel.bias, groups=_PRODUCTS
        )
        values = _as_tiles(products, outputs)
        columns = x.new_empty(count, wide, TILE, INPUTS, outputs)
        _outputs(values.unbind(2), columns.unbind(2))
        strip = result[TILE * first :][: TILE * count].view(count, TILE, wide, TILE, outputs)
        _outputs(columns.unbind(3), [row.transpose(1, 2) for row in strip.unbind(3)])
    return _channels_first(result[:height, :width])


def _adjoint(gradient: Tensor, products: Tensor, padding: tuple[int, int]) -> Tensor:
    outputs, inputs = len(products) // _PRODUCTS, products.shape[1]
    height, width = gradient.shape[2:]
    tall, wide = -(-height // TILE), -(-width // TILE)
    source = gradient[0].permute(1, 2, 0)
    framed = gradient.new_zeros(TILE * tall + 2, TILE * wide + 2, inputs)
    for first, count in _strips(tall, wide):
        strip = _filled(source[TILE * first :][: TILE * count], TILE * count, TILE * wide)
        strip = strip.view(count, TILE, wide, TILE, outputs)
        columns = gradient.new_empty(count, wide, TILE, INPUTS, outputs)
        _outputs_adjoint([row.transpose(1, 2) for row in strip.unbind(3)], columns.unbind(3))
        values = gradient.new_empty(count, wide, INPUTS, INPUTS, outputs)
        _outputs_adjoint(columns.unbind(2), values.unbind(2))
        carried = functional.conv_transpose2d(_as_image(values), products, groups=_PRODUCTS)
        values = _as_tiles(carried, inputs)
        rows = gradient.new_empty(count, INPUTS, TILE * wide + 2, inputs)
        rows[:, :, TILE * wide :] = 0
        _inputs_adjoint(values.unbind(3), _every_fourth(rows, wide, 2, 1))
        # A strip's last two rows are the next one's first two as well.
        framed_strip = framed[TILE * first :][: TILE * count + 2]
        shared = framed_strip[:2].clone()
        _inputs_adjoint(rows.unbind(1), _every_fourth(framed_strip, count, 0))
        framed_strip[:2] += shared
    down, right = padding
    return _channels_first(framed[down : height + 2 - down, right : width + 2 - right])


def _strips(tall: int, wide: int) -> Iterator[tuple[int, int]]:
    """Yield each strip's first row and number of rows, for `tall` rows of `wide` tiles."""
    most = max(1, round(_STRIP / wide))
    size = -(-tall // -(-tall // most))
    for first in range(0, tall, size):
        yield first, min(size, tall - first)


def _every_fourth(maps: Tensor, tiles: int, dim: int, to: int | None = None) -> list[Tensor]:
    """Select along `dim` the tiles' first positions, their second ones, up to the sixth.

    In each of these views, that dimension is then moved to the index `to`.
    """
    views = []
    for start in range(INPUTS):
        stop = start + TILE * (tiles - 1) + 1
        index = (slice(None),) * dim + (slice(start, stop, TILE),)
        views.append(maps[index] if to is None else maps[index].movedim(dim, to))
    return views


def _filled(part: Tensor, height: int, width: int) -> Tensor:
    """Pad a part (H, W, K) that does not fill its tiles, with zeros below and to the right."""
    if part.shape[:2] == (height, width):
        return part
    return functional.pad(part, (0, 0, 0, width - part.shape[1], 0, height - part.shape[0]))


def _as_image(values: Tensor) -> Tensor:
    """View (h, w, 6, 6, C) as (1, 36 C, h, w), channels last."""
    return _channels_first(values.flatten(2))


def _as_tiles(products: Tensor, channels: int) -> Tensor:
    """View (1, 36 C, h, w), channels last, as (h, w, 6, 6, C)."""
    return products[0].permute(1, 2, 0).view(*products.shape[2:], INPUTS, INPUTS, channels)


def _batch(images: list[Tensor]) -> Tensor:
    """Join images (1, C, H, W), channels last, in one tensor."""
    return images[0] if len(images) == 1 else torch.cat(images)


def _channels_first(maps: Tensor) -> Tensor:
    """Turn (H, W, C) into (1, C, H, W), channels last in memory."""
    # The order matters: torch infers the layout from the strides, also from that of the batch.
    return maps.unsqueeze(0).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


# The four linear maps along one side of a tile; each reads views and writes into views.


def _inputs(d: Sequence[Tensor], v: Sequence[Tensor]) -> None:
    """Compute v = B^T d, six values from six inputs.

    B^T = ((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0), (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1)).
    """
    even, odd = torch.add(d[4], d[2], alpha=-4), torch.add(d[3], d[1], alpha=-4)
    torch.add(even, odd, out=v[1])
    torch.sub(even, odd, out=v[2])
    torch.sub(d[4], d[2], out=even)
    torch.sub(d[3], d[1], out=odd)
    torch.add(even, odd, alpha=2, out=v[3])
    torch.add(even, odd, alpha=-2, out=v[4])
    ends = torch.sub(d[0], d[2])
    torch.add(even, ends, alpha=4, out=v[0])
    torch.sub(d[5], d[3], out=ends)
    torch.add(ends, odd, alpha=-4, out=v[5])


def _outputs(m: Sequence[Tensor], y: Sequence[Tensor]) -> None:
    """Compute y = A^T m, four outputs from six values.

    A^T = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)).
    """
    even, odd = torch.add(m[1], m[2]), torch.sub(m[1], m[2])
    even2, odd2 = torch.add(m[3], m[4]), torch.sub(m[3], m[4])
    torch.add(even, even2, alpha=4, out=y[2])
    torch.add(odd, odd2, alpha=2, out=y[1])
    torch.add(even.add_(m[0]), even2, out=y[0])
    torch.add(odd.add_(m[5]), odd2, alpha=8, out=y[3])


def _outputs_adjoint(y: Sequence[Tensor], m: Sequence[Tensor]) -> None:
    """Compute m = A y."""
    m[0].copy_(y[0])
    m[5].copy_(y[3])
    even, odd = torch.add(y[0], y[2]), torch.add(y[1], y[3])
    torch.add(even, odd, out=m[1])
    torch.sub(even, odd, out=m[2])
    torch.add(y[0], y[2], alpha=4, out=even)
    torch.add(y[1], y[3], alpha=4, out=odd)
    torch.add(even, odd, alpha=2, out=m[3])
    torch.add(even, odd, alpha=-2, out=m[4])


def _inputs_adjoint(v: Sequence[Tensor], d: Sequence[Tensor]) -> None:
    """Compute d = B v, for tiles that overlap.

    The last two of `d` are the next tile's first two, and are added to; the others are written.
    """
    sum12, sum34 = torch.add(v[1], v[2]), torch.add(v[3], v[4])
    odd = torch.sub(v[2], v[1]).add_(v[5])
    odd2 = torch.sub(v[4], v[3])
    torch.mul(v[0], 4, out=d[0])
    torch.mul(odd, 4, out=d[1]).add_(odd2, alpha=2)
    torch.mul(odd, -1, out=d[3]).add_(odd2, alpha=-2).add_(v[5], alpha=-4)
    all_but_last = sum34.add_(sum12).add_(v[0])
    torch.mul(all_but_last, -1, out=d[2]).add_(v[0], alpha=-4).add_(sum12, alpha=-3)
    d[4].add_(all_but_last)
    d[5].add_(v[5])
