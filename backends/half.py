"""Gradients in half precision."""

from __future__ import annotations

import torch

from ..core.backend import Features


def in_half_range(cotangents: Features) -> tuple[Features, float]:
    """The cotangents times a factor that brings the largest near one, and the factor.

    Half precision has no room for small numbers; a pullback is linear, so that a factor (a power
    of two, without rounding) can be taken out again.
    """
    largest = max((value.abs().amax().item() for value in cotangents.values()), default=0.0)
    if not largest > 0:
        return cotangents, 1.0
    factor = float(2.0 ** -torch.tensor(largest).log2().floor())
    return {name: value * factor for name, value in cotangents.items()}, factor
