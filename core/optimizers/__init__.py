"""What moves the pixels."""

from __future__ import annotations

from .adam import Adam
from .base import Evaluate, Iterate, Optimizer
from .lbfgs import LBFGS

#: What a job calls them.
OPTIMIZERS: dict[str, type[Optimizer]] = {"lbfgs": LBFGS, "adam": Adam}

__all__ = ["LBFGS", "OPTIMIZERS", "Adam", "Evaluate", "Iterate", "Optimizer"]
