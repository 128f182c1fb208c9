from __future__ import annotations

import pytest
import torch
from stylectl.core.attribution import attributed_to, is_out_of_memory
from stylectl.core.errors import PluginError, StylectlError


def test_torchs_own_failure_to_allocate_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("could not allocate a seat for the guest"), False),
        (ValueError("DefaultCPUAllocator: not enough memory"), False),
    ],
    ids=repr,
)
def test_the_word_allocate_alone_says_nothing(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected


def test_a_plugin_that_speaks_of_allocating_is_named() -> None:
    with pytest.raises(PluginError, match="the term x failed"), attributed_to("the term x"):
        raise RuntimeError("cannot allocate a name")


def test_an_error_is_reworded_without_its_constructor() -> None:
    class OddError(StylectlError):
        exit_code = 7

        def __init__(self, first: int, second: int) -> None:
            super().__init__(f"{first} and {second}")
            self.first = first

    error = OddError(1, 2).reworded("picture 3: 1 and 2")
    assert (str(error), error.exit_code, error.first) == ("picture 3: 1 and 2", 7, 1)
    assert isinstance(error, OddError)
