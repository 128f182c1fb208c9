"""The gradient rules, a function for each operator."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..backward import Rule, RuleOfSeveralOutputs
from . import (
    activations,
    einsum,
    elementwise,
    functions,
    indexing,
    linear,
    normalization,
    quantization,
    reductions,
    shaping,
    softmax,
)
from .spatial import (
    columns,
    convolution,
    lp_pooling,
    padding,
    pooling,
    resizing,
    sampling,
    transposed,
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        operator: rule
        for module in (
            *(activations, einsum, elementwise, functions, indexing, linear, normalization),
            *(quantization, reductions, shaping, softmax),
            *(columns, convolution, lp_pooling, padding, pooling, resizing, sampling, transposed),
        )
        for operator, rule in module.RULES.items()
    }
)
RULES_OF_SEVERAL_OUTPUTS: Mapping[str, RuleOfSeveralOutputs] = shaping.RULES_OF_SEVERAL_OUTPUTS
