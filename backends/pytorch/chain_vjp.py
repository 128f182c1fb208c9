"""The vjp of a chain of modules, written out.

Autograd would allocate a new array for each rectifier's and each cotangent's part of the gradient,
and the arrays are so large that the operating system's work on fresh memory is seen in the time.
Here one gradient is carried down the chain and changed in place. Nothing is kept that a step's way
back has no use for: a convolution needs none of its input, a rectifier one byte for each element,
pooling four for each maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.interfaces.backend import Features, Pullback
from ...core.interfaces.cotangents import LazyCotangents
from ...core.interfaces.trunk import ChainTrunk
from .fast_convolution import FastConvolution
from .padding_vjp import unpadded

#: From the gradient at a step's output, which it may overwrite, to the one at its input.
_Backward = Callable[[Tensor], Tensor]


def chain_vjp(trunk: ChainTrunk, image: Tensor) -> tuple[dict[str, Tensor], Pullback]:
    """Activations of the trunk's layers at `image`, and the pullback, both in the weights' type."""
    tape: list[tuple[str, _Backward]] = []
    activations: dict[str, Tensor] = {}
    with torch.no_grad():
        x, owned = trunk.normalize(image), False
        tape.append(("", partial(trunk.normalize_vjp, dtype=image.dtype)))
        for name, step in _pooled_first(trunk.upto(trunk.layers)):
            x, backward = _forward(step, x, owned, is_layer=bool(name))
            tape.append((name, backward))
            # What these give is nobody else's, unless it is a layer.
            owned = isinstance(step, nn.Conv2d | nn.MaxPool2d) and not name
            if name:
                activations[name] = x
    dtype = x.dtype

    def pullback(cotangents: Features) -> Tensor:
        if not tape:
            raise RuntimeError("a pullback may be called once")
        take = cotangents.take if isinstance(cotangents, LazyCotangents) else cotangents.__getitem__
        gradient: Tensor | None = None
        with torch.no_grad():
            while tape:
                name, backward = tape.pop()
                if name in cotangents:
                    gradient = _added(gradient, take(name).to(dtype))
                if gradient is not None:
                    gradient = backward(gradient)
                del backward  # it holds what the next step has no use for
        return torch.zeros_like(image) if gradient is None else gradient

    return activations, pullback


def _added(gradient: Tensor | None, own: Tensor) -> Tensor:
    return own.clone() if gradient is None else gradient.add_(own)


def _pooled_first(steps: Sequence[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """The largest of rectified numbers is the rectified largest, and there are fewer of them."""
    found = list(steps)
    for index, (name, step) in enumerate(found[:-1]):
        pooled, pooling = found[index + 1]
        if not name and isinstance(step, nn.ReLU) and isinstance(pooling, nn.MaxPool2d):
            found[index : index + 2] = [("", pooling), (pooled, step)]
    return found


def _forward(
    step: nn.Module, x: Tensor, owned: bool, *, is_layer: bool
) -> tuple[Tensor, _Backward]:
    """The step's output, and its way back. An `owned` input may be overwritten. What is a layer is
    held anyway, and need not be copied."""
    match step:
        case nn.ReLU():
            y = torch.relu_(x) if owned else torch.relu(x)
            return y, partial(_rectifier, y) if is_layer else partial(_where, y > 0)
        case nn.Conv2d(padding_mode="zeros", padding=tuple(padding)):
            return step(x), partial(convolution_vjp, step, padding, x.shape[2:])
        case nn.Conv2d(padding=tuple(padding)):
            return step(x), partial(_transposed_and_unpadded, step, padding, x.shape[2:])
        case nn.MaxPool2d() if _is_apart(step):
            y, places = functional.max_pool2d(
                x, step.kernel_size, step.stride, ceil_mode=step.ceil_mode, return_indices=True
            )
            # A map has fewer than 2^31 positions.
            return y, partial(_unpooled, step, x.shape, places.int())
    return step(x), partial(_recomputed, step, x)


def _rectifier(output: Tensor, gradient: Tensor) -> Tensor:
    torch.ops.aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)
    return gradient


def _where(positive: Tensor, gradient: Tensor) -> Tensor:
    return gradient.mul_(positive)


def _is_apart(pooling: nn.MaxPool2d) -> bool:
    """Whether each element is in one window at most."""
    return (pooling.padding, pooling.dilation, pooling.kernel_size) == (0, 1, pooling.stride)


def _unpooled(pooling: nn.MaxPool2d, size: torch.Size, places: Tensor, gradient: Tensor) -> Tensor:
    if gradient.device.type == "cuda":  # where max_unpool2d would lay it out channels first
        unpooled = gradient.new_zeros(size[0], size[2] * size[3], size[1])
        unpooled.scatter_(1, _positions(places).long(), _positions(gradient))
        return unpooled.view(size[0], *size[2:], size[1]).permute(0, 3, 1, 2)
    side = pooling.kernel_size
    window = (side, side) if isinstance(side, int) else side
    return functional.max_unpool2d(gradient, places.long(), window, output_size=size)


def _positions(maps: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H * W, C), which takes no copy where it is channels last."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)


def convolution_vjp(
    convolution: nn.Conv2d, padding: tuple[int, ...], size: torch.Size, gradient: Tensor
) -> Tensor:
    """From the gradient at the output to that at the input, of `size` (height, width).

    It is the transposed convolution; a stride may leave a few rows over.
    """
    if isinstance(convolution, FastConvolution):
        fast = convolution.carried_back(gradient, (padding[0], padding[1]))
        if fast is not None:
            return fast
    settings = zip(
        size,
        gradient.shape[2:],
        convolution.kernel_size,
        convolution.stride,
        padding,
        convolution.dilation,
        strict=True,
    )
    left_over = [
        whole - ((part - 1) * stride - 2 * pad + dilation * (kernel - 1) + 1)
        for whole, part, kernel, stride, pad, dilation in settings
    ]
    return functional.conv_transpose2d(
        gradient,
        convolution.weight,
        None,
        convolution.stride,
        padding,
        left_over,
        convolution.groups,
        convolution.dilation,
    )


def _transposed_and_unpadded(
    convolution: nn.Conv2d, padding: tuple[int, ...], size: torch.Size, gradient: Tensor
) -> Tensor:
    """Of a convolution that pads with what is there."""
    framed = torch.Size(side + 2 * pad for side, pad in zip(size, padding, strict=True))
    through = convolution_vjp(convolution, (0, 0), framed, gradient)
    return unpadded(through, padding, convolution.padding_mode)


def _recomputed(step: Callable[[Tensor], Tensor], x: Tensor, gradient: Tensor) -> Tensor:
    """Any other step is cheap enough to be run again, for autograd."""
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        (through,) = torch.autograd.grad(step(leaf), leaf, gradient)
    return through
