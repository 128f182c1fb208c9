"""Checks of a backend's arguments: a wrong call is an error in one line, not a runtime's crash.

The checks read shapes and types alone, so that they cost nothing beside a network.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from ..errors import BackendError, UsageError, did_you_mean
from .backend import Features, LazyCotangents, Pullback


def check_image(image: Tensor) -> None:
    """Raise BackendError unless `image` is (N, 3, H, W) in float32, with at least one pixel."""
    if not isinstance(image, Tensor):
        raise BackendError(f"an image must be a tensor, not {type(image).__name__}")
    if image.dim() != 4 or image.shape[1] != 3 or image.numel() == 0:
        raise BackendError(f"an image must have the shape (N, 3, H, W), not {tuple(image.shape)}")
    if image.dtype != torch.float32:
        raise BackendError(f"an image must be in float32, not {_name(image.dtype)}")


def check_layers(asked: Collection[str], layers: Collection[str]) -> None:
    """Raise UsageError unless the requested layers (`asked`) are some of the backend's `layers`.

    At least one layer must be requested.
    """
    if not asked:
        raise UsageError(f"no layer is requested; the backend has {', '.join(layers)}")
    for layer in asked:
        if layer not in layers:
            hint = did_you_mean(layer, layers)
            raise UsageError(f"the backend was not created for the layer {layer!r}; {hint}")


def checked_pullback(features: Features, pullback: Pullback) -> Pullback:
    """Return `pullback` with checks of its arguments.

    The checked pullback raises UsageError for the cotangent of a layer that is not among
    `features`, and BackendError for a cotangent of another shape or type than its layer, and for a
    second call. The memory that `pullback` holds is free after the first call.
    """
    shapes = {name: value.shape for name, value in features.items()}
    unused = [pullback]

    def checked(cotangents: Features) -> Tensor:
        if cotangents:
            check_layers(cotangents, shapes)
        # The objective makes lazy cotangents of the right shapes; reading one would compute it.
        unchecked = {} if isinstance(cotangents, LazyCotangents) else cotangents
        for name, value in unchecked.items():
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
