"""What a backend is handed, checked: a wrong call is an error in one line, not a runtime's crash.

The checks look at shapes and types alone, so that they cost nothing beside a network.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from ..errors import BackendError, UsageError, did_you_mean
from .backend import Features, Pullback
from .cotangents import LazyCotangents


def check_image(image: Tensor) -> None:
    """Raises BackendError for what is no (N, 3, H, W) image in float32 with a pixel at least."""
    if not isinstance(image, Tensor):
        raise BackendError(f"an image must be a tensor, not {type(image).__name__}")
    if image.dim() != 4 or image.shape[1] != 3 or image.numel() == 0:
        raise BackendError(f"an image must have the shape (N, 3, H, W), not {tuple(image.shape)}")
    if image.dtype != torch.float32:
        raise BackendError(f"an image must be in float32, not {_name(image.dtype)}")


def check_layers(asked: Collection[str], layers: Collection[str]) -> None:
    """Raises UsageError when one of the layers `asked` for is not among the backend's `layers`, or
    when none is asked for."""
    if not asked:
        raise UsageError(f"no layer is asked for; there is {', '.join(layers)}")
    for layer in asked:
        if layer not in layers:
            hint = did_you_mean(layer, layers)
            raise UsageError(f"the backend was not made for the layer {layer!r}; {hint}")


def checked_pullback(features: Features, pullback: Pullback) -> Pullback:
    """`pullback` with its contract kept: UsageError for the cotangent of a layer that is not among
    `features`, BackendError for a cotangent of another shape or type than its layer, and for a
    second call. What `pullback` holds is free after the first."""
    shapes = {name: value.shape for name, value in features.items()}
    unused = [pullback]

    def checked(cotangents: Features) -> Tensor:
        if cotangents:
            check_layers(cotangents, shapes)
        # Those of our own objective are right, and looking at one would compute it.
        given = {} if isinstance(cotangents, LazyCotangents) else cotangents
        for name, value in given.items():
            if value.shape != shapes[name] or value.dtype != torch.float32:
                raise BackendError(
                    f"the cotangent of {name} must have the shape {tuple(shapes[name])} in "
                    f"float32, not {tuple(value.shape)} in {_name(value.dtype)}"
                )
        if not unused:
            raise BackendError("a pullback may be called once; call vjp again")
        return unused.pop()(cotangents)

    return checked


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
