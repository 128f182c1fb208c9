from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

#: A run of the program in a folder: its exit code, stdout and stderr.
Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """No GPU, no color, no wrapped lines."""
    return {**os.environ, "CUDA_VISIBLE_DEVICES": "", "NO_COLOR": "1", "COLUMNS": "100"}


def runner(module: str, environment: dict[str, str]) -> Program:
    """Runs `python -m MODULE` in a process of its own."""

    def run(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def program(environment: dict[str, str]) -> Program:
    """Runs `stylectl` as a user would."""
    return runner("stylectl", environment)


@pytest.fixture(scope="session")
def maintenance(environment: dict[str, str]) -> Callable[[str], Program]:
    """Runs one of the modules in `tools/maintenance/`."""
    return lambda name: runner(f"stylectl.tools.maintenance.{name}", environment)
