"""Process of one program in a contest: `python -m stylectl.tools.bench.contestant`.

Stdin has an `Entry` as one line of JSON, then a line for each iteration to be done. Each line is
answered by one line of JSON on stdout: `device` and `details` when the program is ready to begin,
then `loss`, `seconds` and `peak_memory_mb` of each iteration; or `error`, which ends the process.
Between the lines it waits.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ...core.errors import StylectlError
from .contender import OURSELVES, Contender, Entry

if TYPE_CHECKING:
    from ...core.run.open_run import Step


class Ourselves(Contender):
    """Contender for stylectl, with the steps of `stylectl run` at a single scale."""

    def __init__(self, entry: Entry) -> None:
        from ...core.job.model import Job
        from ...core.planning.planner import make_plan
        from ...core.run.preparation import prepare
        from ...core.run.session import Session
        from ...plugins.manager import load_plugins

        plugins = load_plugins(folders=map(Path, entry.plugins_dir))
        plan = make_plan(Job.model_validate(entry.job), plugins.registry)
        run = Session().open(prepare(plan))
        self.device, self.details = run.backend.device, run.details
        self._steps: Iterator[Step] = run.steps(0, None, lambda _: None)

    def step(self) -> float:
        """Do one iteration; see Contender.step.

        The first one evaluates the content image; each further one moves the image first.
        """
        return next(self._steps).evaluation.value


def contender_of(entry: Entry) -> Contender:
    """Return the program, ready to begin. Raises StylectlError and its subclasses."""
    if entry.program == OURSELVES:
        from ...core.machine.malloc import keep_freed_memory

        keep_freed_memory()  # as stylectl does; the other programs manage their own memory
        return Ourselves(entry)
    from .peers import PEERS

    return PEERS[entry.program].create(entry)


def compete(requests: TextIO, answers: TextIO) -> None:
    """Answer the requests until their end; see the module."""

    def answer(**values: object) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    import torch

    from .measuring import peak_memory_mb, timed

    entry = Entry(**json.loads(requests.readline()))
    torch.set_num_threads(entry.threads)
    try:
        contender = contender_of(entry)
        answer(device=str(contender.device), details=dict(contender.details))
        for _ in requests:
            loss, seconds = timed(contender.step, contender.device)
            peak = peak_memory_mb(contender.device)
            answer(loss=loss, seconds=seconds, peak_memory_mb=peak)
    except StylectlError as error:
        answer(error=str(error))


if __name__ == "__main__":
    answers, sys.stdout = sys.stdout, sys.stderr  # so that a program's own prints are no answers
    try:
        compete(sys.stdin, answers)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)  # the parent process reports it
