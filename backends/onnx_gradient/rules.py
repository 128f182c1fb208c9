"""The gradient rules by operator."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from . import convolution, elementwise, linear, padding, pooling, resizing, shaping
from .backward import Rule

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
