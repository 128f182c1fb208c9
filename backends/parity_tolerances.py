from __future__ import annotations
from collections.abc import Mapping
from dataclasses import dataclass
from .parity_figures import Quantity
@dataclass(frozen=True)
class Tolerance:
    limit: float
    reason: str
Tolerances = Mapping[Quantity, Tolerance]
TOLERANCES = {p: {q: Tolerance(1.0, "") for q in Quantity} for p in ("float32","bf16","fp16")}
