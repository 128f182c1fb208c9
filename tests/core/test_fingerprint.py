from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest
import torch
from stylectl.core.fingerprint import fingerprint


@dataclass(frozen=True)
class Pair:
    first: Any
    second: Any


def test_equal_contents_have_one_fingerprint() -> None:
    left = torch.arange(6.0).reshape(2, 3)
    right = torch.arange(6.0).reshape(3, 2).reshape(2, 3)
    assert fingerprint({"a": left, "b": 1}) == fingerprint({"b": 1, "a": right})
    turned = left.T.contiguous().T  # other strides
    assert fingerprint(turned) == fingerprint(left)


DIFFERENT = [
    *(None, 0, 0.0, False, "", "0", (), {}, (0,), ("ab", "c"), ("a", "bc"), {"a": "b"}),
    *(torch.zeros(2, 3), torch.zeros(3, 2), torch.zeros(2, 3, dtype=torch.float64)),
    *(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 1.0]), torch.tensor(0.0)),
    *(Pair(1, 2), Pair(2, 1), ((1,), 2), (1, (2,)), [1, (2,)]),
]


def test_other_contents_have_another() -> None:
    for one, other in combinations(DIFFERENT, 2):
        assert fingerprint(one) != fingerprint(other), (one, other)


def test_what_cannot_be_looked_into_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        fingerprint([object()])
