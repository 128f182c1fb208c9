from __future__ import annotations

import pytest
import torch
from stylectl.core.errors import MemoryLimitError
from stylectl.core.machine import host_memory
from stylectl.core.machine.host_memory import FreeMemory
from stylectl.core.memory import limits
from stylectl.core.memory.estimate import MemoryEstimate
from stylectl.core.memory.limits import explaining_out_of_memory, free_memory, memory_budget

CPU = torch.device("cpu")
NEEDED = MemoryEstimate(2000, 1000, 1000, 200, 32, 12, 0)
GB = 10**9


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 5 GB free, of which 0.2 are set aside; the program holds 1 GB."""
    monkeypatch.setattr(host_memory, "free", lambda: FreeMemory(5 * GB))
    monkeypatch.setattr(host_memory, "held_bytes", lambda: GB)


@pytest.mark.parametrize(
    ("max_memory", "words"),
    [
        (None, "4.8 GB are free"),
        ("100GB", "4.8 GB are free"),
        ("4GB", "2.8 GB are left of `max_memory=4GB`"),
    ],
)
def test_a_budget_names_what_limits_it(max_memory: str | None, words: str) -> None:
    assert str(memory_budget(max_memory, CPU)) == words


@pytest.mark.parametrize("max_memory", [None, "100GB"])
def test_a_limit_of_the_process_is_named(
    max_memory: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_memory, "free", lambda: FreeMemory(2 * GB, "the control group"))
    assert str(memory_budget(max_memory, CPU)) == "1.8 GB are left of the control group"


@pytest.mark.parametrize(
    ("max_memory", "words"),
    [(None, "4.8 GB are free"), ("100GB", "4.8 GB are free"), ("2GB", "800 MB are left of")],
)
def test_a_failed_allocation_is_explained_by_the_limit_that_holds(
    max_memory: str | None, words: str
) -> None:
    with (
        pytest.raises(MemoryLimitError, match=words) as raised,
        explaining_out_of_memory(NEEDED, (1000, 1500), False, max_memory, CPU),
    ):
        raise MemoryError
    assert "`size=" in str(raised.value)
    assert ("max_memory" in str(raised.value)) == (max_memory == "2GB")


def test_what_exceeds_the_limit_leaves_nothing() -> None:
    with (
        pytest.raises(MemoryLimitError, match="and 0 MB are left of `max_memory=500MB`"),
        explaining_out_of_memory(NEEDED, (1000, 1500), False, "500MB", CPU),
    ):
        raise MemoryError
    with pytest.raises(MemoryLimitError, match=r"holds 1\.2 GB and the limit"):
        memory_budget("500MB", CPU)


def test_on_a_gpu_what_torch_can_use_again_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver counts all that torch has reserved as used."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * GB, 80 * GB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 2 * GB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: GB // 2)
    gpu = torch.device("cuda")
    assert free_memory(gpu) == FreeMemory(3 * GB + 3 * GB // 2)
    assert memory_budget("2GB", gpu).available == 3 * GB // 2
    assert limits._held_memory(gpu) == GB // 2
