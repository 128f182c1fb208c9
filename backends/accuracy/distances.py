"""Distances of tensors from a reference's, as numbers.

All functions take two tensors of one shape, the second the reference's, in any type.
"""

from __future__ import annotations

import math

from torch import Tensor


def relative_l2(got: Tensor, exact: Tensor) -> float:
    """The norm of the difference over that of the reference."""
    got, exact = _double(got, exact)
    return _ratio((got - exact).norm().item(), exact.norm().item())


def max_abs(got: Tensor, exact: Tensor) -> float:
    """The largest difference of an element."""
    got, exact = _double(got, exact)
    return (got - exact).abs().max().item()


def max_rel(got: Tensor, exact: Tensor) -> float:
    """The largest relative difference of an element; those smaller than the reference's root mean
    square are left out, since a rectifier's output has them as small as one likes."""
    got, exact = _double(got, exact)
    if not exact.any():
        return _ratio(got.abs().max().item(), 0.0)
    large = exact.abs() >= exact.square().mean().sqrt()
    return ((got - exact)[large] / exact[large]).abs().max().item()


def cosine_distance(got: Tensor, exact: Tensor) -> float:
    """1 - cosine of the angle between them, computed so that small ones are not rounded away."""
    got, exact = _double(got, exact)
    if not got.any() and not exact.any():
        return 0.0
    if not got.any() or not exact.any():
        return 1.0
    return float((got / got.norm() - exact / exact.norm()).square().sum().item() / 2)


def _double(*tensors: Tensor) -> list[Tensor]:
    return [tensor.detach().cpu().double() for tensor in tensors]


def _ratio(difference: float, size: float) -> float:
    if size > 0:
        return difference / size
    return 0.0 if difference == 0 else math.inf
