"""The optimizers and initialisers, by the names that a job has for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .adam import Adam
from .base import Optimizer
from .initializers import (
    FromContent,
    FromContentWithNoise,
    FromFile,
    FromNoise,
    FromStyleStatistics,
    Initializer,
)
from .lbfgs import LBFGS

OPTIMIZERS: Mapping[str, type[Optimizer]] = MappingProxyType({"lbfgs": LBFGS, "adam": Adam})

INITIALIZERS: Mapping[str, type[Initializer]] = MappingProxyType(
    {
        "content": FromContent,
        "content+noise": FromContentWithNoise,
        "noise": FromNoise,
        "style": FromStyleStatistics,
        "file": FromFile,
    }
)
