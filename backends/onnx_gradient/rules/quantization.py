"""Refusal of rounded activations: a rounding has no slope that is of use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..backward import BackwardGraph, Rule
from ..forward import Node


def _quantized(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Raise NoGradientError. Weights of integers are constants, and have no rule."""
    raise node.unsupported(
        "its input is rounded, which has no slope; use a file whose weights alone are quantized, "
        "or layers before it"
    )


RULES: Mapping[str, Rule] = MappingProxyType(
    dict.fromkeys(
        (
            *("ConvInteger", "DequantizeLinear", "MatMulInteger"),
            *("QLinearConv", "QLinearMatMul", "QuantizeLinear"),
        ),
        _quantized,
    )
)
