from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from stylectl.core.run.tensor_bytes import tensor_bytes
from torch import Tensor


@dataclass(frozen=True)
class Target:
    maps: Tensor
    name: str = "a layer"


def closure(maps: Tensor) -> Callable[..., Tensor]:
    def loss(features: Tensor, scale: float = 2.0) -> Tensor:
        return (features - maps).sum() * scale

    return loss


class Term:
    def __init__(self, maps: Tensor) -> None:
        self.maps = {"a": [maps]}

    def loss(self, features: Tensor) -> Tensor:
        return features.sum()


MAPS = torch.zeros(1000)


@pytest.mark.parametrize(
    "value",
    [
        MAPS,
        [MAPS, MAPS],
        {"layer": Target(MAPS)},
        closure(MAPS),
        partial(closure(MAPS), scale=3.0),
        Term(MAPS).loss,
        lambda features, maps=MAPS: features - maps,
        (MAPS, MAPS[:10], MAPS.view(10, 100)),
        np.zeros(500),
    ],
    ids=lambda value: type(value).__name__,
)
def test_tensors_are_found_wherever_they_are_held(value: Any) -> None:
    assert tensor_bytes(value) == 4000


@pytest.mark.parametrize(
    "value",
    [None, 5, "text", Term, torch, tensor_bytes, test_tensors_are_found_wherever_they_are_held],
)
def test_code_holds_none(value: Any) -> None:
    assert tensor_bytes(value) == 0


def test_rings_of_objects_end() -> None:
    ring: list[Any] = [MAPS]
    ring.append(ring)
    assert tensor_bytes(ring) == 4000
