"""A listener: it appends the loss of each step to a file.

The environment variable DEMO_JOURNAL names the file;
without it, nothing is written. Hooks for events need no spec.
"""

from __future__ import annotations

import os
from pathlib import Path

from stylectl import RunStarted, StepDone, hooks


@hooks.run_started
def run_started(event: RunStarted) -> None:
    """Append a line with the names of the columns."""
    _append("scale,step,seconds,loss")


@hooks.step
def step(event: StepDone) -> None:
    """Append a line with the step's figures."""
    _append(f"{event.scale},{event.step},{event.seconds:.3f},{event.loss:.6g}")


def _append(line: str) -> None:
    if name := os.environ.get("DEMO_JOURNAL"):
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
