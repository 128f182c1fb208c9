"""Distances of tensors from a reference, as numbers.

All functions take two tensors of one shape and of any type, the second being the reference.
"""

from __future__ import annotations

import math

from torch import Tensor


def relative_l2(got: Tensor, exact: Tensor) -> float:
    """Return the norm of the difference, divided by the norm of the reference."""
    got, exact = _double(got, exact)
    return _ratio((got - exact).norm().item(), exact.norm().item())


def max_abs(got: Tensor, exact: Tensor) -> float:
    """Return the largest absolute difference of an element."""
    got, exact = _double(got, exact)
    return (got - exact).abs().max().item()


def max_rel(got: Tensor, exact: Tensor) -> float:
    """Return the largest relative difference of an element.

    Elements smaller than the reference's root mean square are left out, since those of a
    rectifier's output may be arbitrarily small.
    """
    got, exact = _double(got, exact)
    if not exact.any():
        return _ratio(got.abs().max().item(), 0.0)
    large = exact.abs() >= exact.square().mean().sqrt()
    return ((got - exact)[large] / exact[large]).abs().max().item()


def cosine_distance(got: Tensor, exact: Tensor) -> float:
    """Return 1 - cosine of the angle, computed so that small distances are not rounded away."""
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
