from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from stylectl.core.errors import WeightsError
from stylectl.core.machine import limited_process
from stylectl.core.machine.limited_process import Limits, ProcessError, call

pytestmark = pytest.mark.subprocess

MODULE = "tests.fixtures.limited_work"
LIMITS = Limits(memory=500_000_000, seconds=10)
ON_LINUX = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux limits the memory of a process"
)


def done(what: str, limits: Limits = LIMITS, **more: Any) -> Any:
    return call(MODULE, {"do": what, **more}, limits)


def test_it_returns_what_the_work_returns() -> None:
    assert done("return", text="ä") == [{"do": "return", "text": "ä"}, "1"]


def test_no_module_is_imported_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    assert done("return")


@ON_LINUX
def test_its_memory_is_limited() -> None:
    assert done("allocate", size=100_000_000) == 100_000_000
    with pytest.raises(ProcessError, match=r"takes more than 0\.5 GB of memory"):
        done("allocate", size=600_000_000)
    assert done("extend", size=600_000_000) == 600_000_000


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no processor time")
def test_its_processor_time_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited_process, "_PATIENCE", 100)  # for a machine that is busy
    with pytest.raises(ProcessError, match="takes more than 1 s"):
        done("loop", Limits(LIMITS.memory, 1))


def test_its_time_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited_process, "_PATIENCE", 1)
    with pytest.raises(ProcessError, match="takes more than 1 s"):
        done("sleep", Limits(LIMITS.memory, 1))


def test_errors_of_stylectl_are_raised_again() -> None:
    with pytest.raises(WeightsError, match="refused"):
        done("refuse")


@pytest.mark.parametrize(
    ("what", "words"),
    [("fail", r"fails \(ValueError: a line and another\)"), ("crash", "memory"), ("exit", "crash")],
)
def test_other_failures_are_a_line(what: str, words: str) -> None:
    with pytest.raises(ProcessError, match=words) as raised:
        done(what, code=3)
    assert "\n" not in str(raised.value)


def test_a_process_that_cannot_be_started_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(ProcessError, match="cannot be started"):
        done("return")
