"""What must not be imported before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.subprocess

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "tests" / "fixtures" / "v0_1" / "run.png"
RUNTIMES = {"torch", "torchvision", "onnx", "onnxruntime"}


def imported(code: str, names: set[str]) -> set[str]:
    """Which of the modules `code` imports, in a process of its own."""
    report = f"import sys\n{code}\nprint('\\n' + ' '.join({names!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", report], check=True, capture_output=True, text=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "module",
    ["core.job", *(f"core.job.{path.stem}" for path in (ROOT / "core" / "job").glob("[a-z]*.py"))],
)
def test_a_job_is_plain_data(module: str) -> None:
    assert not imported(f"import stylectl.{module}", RUNTIMES | {"PIL"})


@pytest.mark.parametrize("module", ["fitting", "pyramid", "tiles"])
def test_sizes_are_plain_arithmetic(module: str) -> None:
    assert not imported(f"import stylectl.core.sizes.{module}", RUNTIMES | {"PIL", "numpy"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["batch", "--help"],
        ["show", str(RECORD)],
        ["list"],
        ["list", "backbones", "--json"],
        ["run", "--print-job"],
        ["run", "--print-job", "--preset", "paper", "--term", "strotss", "--init", "noise"],
        ["run", "--print-job", "--texture", "x.png", "--optimizer", "adam", "--backend", "onnx"],
    ],
    ids=" ".join,
)
def test_a_command_that_computes_nothing_imports_no_runtime(arguments: list[str]) -> None:
    code = (
        "from stylectl.tools.cli import app\n"
        "try:\n"
        f"    app({arguments!r}, prog_name='stylectl', standalone_mode=False)\n"
        "except SystemExit:\n"
        "    pass"
    )
    assert not imported(code, RUNTIMES)
