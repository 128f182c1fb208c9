"""The gradient rules, a function for each operator."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..backward import Rule
from . import elementwise, linear, shaping
from .spatial import convolution, padding, pooling, resizing

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **convolution.RULES,
        **elementwise.RULES,
        **linear.RULES,
        **padding.RULES,
        **pooling.RULES,
        **resizing.RULES,
        **shaping.RULES,
    }
)
