"""The vjp of a chain of modules, computed step by step.

Autograd would allocate a new array for each rectifier's and each cotangent's part of the gradient,
and these arrays are so large that the operating system's work on fresh memory shows in the time.
Here one gradient is carried down the chain and changed in place. A step keeps only what its
backward function uses: a convolution nothing of its input, a rectifier one byte for each element,
pooling four for each maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.interfaces.backend import Features, LazyCotangents, Pullback
from ...core.interfaces.trunk import ChainTrunk
from .fast_convolution import FastConvolution
from .padding_vjp import unpadded

#: Function from the gradient at a step's output, which it may overwrite, to that at its input.
_Backward = Callable[[Tensor], Tensor]


def chain_vjp(trunk: ChainTrunk, image: Tensor) -> tuple[dict[str, Tensor], Pullback]:
    """Return the layers' activations at `image` and the pullback, both in the weights' type."""
    tape: list[tuple[str, _Backward]] = []
    activations: dict[str, Tensor] = {}
    with torch.no_grad():
        x, owned = trunk.normalize(image), False
        tape.append(("", partial(trunk.normalize_vjp, dtype=image.dtype)))
        for name, step in _pooled_first(trunk.upto(trunk.layers)):
            x, backward = _forward(step, x, owned, is_layer=bool(name))
            tape.append((name, backward))
            # The output of these steps is a new array; unless it is a layer, it may be overwritten.
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
                del backward  # frees what the step kept before the next one runs
        return torch.zeros_like(image) if gradient is None else gradient

    return activations, pullback


def _added(gradient: Tensor | None, cotangent: Tensor) -> Tensor:
    return cotangent.clone() if gradient is None else gradient.add_(cotangent)


def _pooled_first(steps: Sequence[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """Move max pooling before the rectifier that precedes it.

    The maximum of rectified numbers is the rectified maximum, and there are fewer maxima.
    """
    reordered = list(steps)
    for index, (name, step) in enumerate(reordered[:-1]):
        pooled, pooling = reordered[index + 1]
        if not name and isinstance(step, nn.ReLU) and isinstance(pooling, nn.MaxPool2d):
            reordered[index : index + 2] = [("", pooling), (pooled, step)]
    return reordered


def _forward(
    step: nn.Module, x: Tensor, owned: bool, *, is_layer: bool
) -> tuple[Tensor, _Backward]:
    """Return the step's output, and its backward function.

    An `owned` input may be overwritten. The output of a layer is held by the features in any case,
    so that the backward function may hold it as well.
    """
    match step:
        case nn.ReLU():
            y = torch.relu_(x) if owned else torch.relu(x)
            return y, partial(_rectifier, y) if is_layer else partial(_where, y > 0)
        case nn.Conv2d(padding_mode="zeros", padding=tuple(padding)):
            return step(x), partial(convolution_vjp, step, padding, x.shape[2:])
        case nn.Conv2d(padding=tuple(padding)):
            return step(x), partial(_transposed_and_unpadded, step, padding, x.shape[2:])
        case nn.MaxPool2d() if _windows_are_disjoint(step):
            y, indices = functional.max_pool2d(
                x, step.kernel_size, step.stride, ceil_mode=step.ceil_mode, return_indices=True
            )
            # int32 suffices: a map has fewer than 2^31 positions.
            return y, partial(_unpooled, step, x.shape, indices.int())
    return step(x), partial(_recomputed, step, x)


def _rectifier(output: Tensor, gradient: Tensor) -> Tensor:
    torch.ops.aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)
    return gradient


def _where(positive: Tensor, gradient: Tensor) -> Tensor:
    return gradient.mul_(positive)


def _windows_are_disjoint(pooling: nn.MaxPool2d) -> bool:
    """Return whether each element is in one window at most."""
    return (pooling.padding, pooling.dilation, pooling.kernel_size) == (0, 1, pooling.stride)


def _unpooled(pooling: nn.MaxPool2d, size: torch.Size, indices: Tensor, gradient: Tensor) -> Tensor:
    if gradient.device.type == "cuda":  # where max_unpool2d would lay it out channels first
        unpooled = gradient.new_zeros(size[0], size[2] * size[3], size[1])
        unpooled.scatter_(1, _positions(indices).long(), _positions(gradient))
        return unpooled.view(size[0], *size[2:], size[1]).permute(0, 3, 1, 2)
    side = pooling.kernel_size
    window = (side, side) if isinstance(side, int) else side
    return functional.max_unpool2d(gradient, indices.long(), window, output_size=size)


def _positions(maps: Tensor) -> Tensor:
    """Reshape (N, C, H, W) to (N, H * W, C), without a copy if it is channels last."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)


def convolution_vjp(
    convolution: nn.Conv2d, padding: tuple[int, ...], size: torch.Size, gradient: Tensor
) -> Tensor:
    """Return the gradient at the input, of `size` (height, width), from that at the output.

    It is the transposed convolution; a stride may leave a few rows over.
    """
    if isinstance(convolution, FastConvolution):
        fast = convolution.input_gradient(gradient, (padding[0], padding[1]))
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
        input_side - ((output_side - 1) * stride - 2 * pad + dilation * (kernel - 1) + 1)
        for input_side, output_side, kernel, stride, pad, dilation in settings
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
    """Return the gradient at the input of a convolution that pads with values of its input."""
    padded_size = torch.Size(side + 2 * pad for side, pad in zip(size, padding, strict=True))
    padded_gradient = convolution_vjp(convolution, (0, 0), padded_size, gradient)
    return unpadded(padded_gradient, padding, convolution.padding_mode)


def _recomputed(step: Callable[[Tensor], Tensor], x: Tensor, gradient: Tensor) -> Tensor:
    """Return the vjp of any other step by autograd; the step is cheap enough to be run again."""
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        (input_gradient,) = torch.autograd.grad(step(leaf), leaf, gradient)
    return input_gradient
