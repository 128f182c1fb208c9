"""The scaling of cotangents for half precision."""

from __future__ import annotations

import torch
from torch import Tensor

from ...core.interfaces.backend import Features


def in_half_range(cotangents: Features) -> tuple[Features, Tensor | float]:
    """Return the cotangents times a factor that brings the largest near one, and the factor.

    Half precision cannot represent small numbers. A pullback is linear, so that its result can be
    divided by the factor, a power of two, without rounding.
    """
    if not cotangents:
        return cotangents, 1.0
    largest = torch.stack([value.abs().amax() for value in cotangents.values()]).amax()
    # 2^127 is the largest power of two in float32.
    exponent = torch.frexp(largest).exponent.clamp_min(-126)
    factor = torch.where(largest > 0, torch.ldexp(torch.ones_like(largest), -exponent), 1.0)
    return {name: value * factor for name, value in cotangents.items()}, factor
