from __future__ import annotations

import json
import subprocess
import sys

import pytest
from stylectl.core.machine import host_memory
from stylectl.core.machine.host_memory import FreeMemory, in_words

pytestmark = pytest.mark.subprocess

GB = 10**9


def test_the_least_of_all_limits_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_memory, "_limits_of_process", lambda: iter(()))
    monkeypatch.setattr(host_memory, "free_in_cgroups", lambda: 12345)
    assert host_memory.free() == FreeMemory(12345, "the control group's memory limit")
    monkeypatch.setattr(host_memory, "free_in_cgroups", lambda: 10**18)
    assert host_memory.free().limit == ""
    monkeypatch.setattr(host_memory, "free_in_cgroups", lambda: None)
    assert host_memory.free_bytes() > 0
    assert host_memory.held_bytes() > 10**6


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
@pytest.mark.parametrize(
    ("kind", "name"), [("RLIMIT_AS", "ulimit -v"), ("RLIMIT_DATA", "ulimit -d")]
)
def test_limits_of_the_process_count(kind: str, name: str) -> None:
    """In a process that has the limit, which also holds: a larger array cannot be made."""
    code = f"""
import json, resource
resource.setrlimit(resource.{kind}, ({GB}, {GB}))
from stylectl.core.machine.host_memory import free
before = free()
held = bytearray(100_000_000)
after = free()
try:
    bytearray(before.available + 50_000_000)
    refused = False
except MemoryError:
    refused = True
fits = len(bytearray(after.available - 20_000_000))
print(json.dumps([before.available, before.limit, after.available, refused]))
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    before, limit, after, refused = json.loads(process.stdout)
    assert 0 < before < GB
    assert name in limit
    assert before - after == pytest.approx(100_000_000, abs=10_000_000)
    assert refused


@pytest.mark.parametrize(
    ("size", "words"), [(1_500_000_000, "1.5 GB"), (999_000_000, "999 MB"), (0, "0 MB")]
)
def test_bytes_are_shown_in_gb_or_mb(size: int, words: str) -> None:
    assert in_words(size) == words
