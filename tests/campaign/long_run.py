"""A run of 512 px that is killed ten times, and ends with the bits of an undisturbed one."""

from __future__ import annotations

import signal
from hashlib import sha256
from random import Random

from .judge import Attempt, Fault
from .place import Place

_KILLS = 10
#: The sample pair with the whole of VGG-19, in all its scales.
_COMMAND = ("run", "--size", "512", "--iterations", "45", "--device", "cpu", "--metadata", "none")


def attempt(seed: int, place: Place) -> tuple[Attempt, list[str]]:
    """Kill the run ten times at random moments; return the attempt, and lines that describe it.

    Its processes start from cold, as a user starts them.
    """
    random, lines = Random(seed), []
    whole = place.run_from_cold(*_COMMAND, "--no-checkpoint", "-o", "whole.png", limit=3600)
    if whole.code != 0:
        fault = Fault("wrong", f"exit code {whole.code}: {whole.stderr[-300:]!r}")
        return Attempt("the undisturbed run", "failed", (fault,)), lines
    expected = sha256((place.work / "whole.png").read_bytes()).hexdigest()
    lines.append(f"512 px, undisturbed: {whole.ending.seconds:.0f} s, SHA-256 {expected}")
    command = (*_COMMAND, "--checkpoint-every", "1s", "-o", "out.png")
    kills = 0
    for _ in range(100):
        # A tenth of the run for each, so that the last ones are near its end.
        seconds = random.uniform(0.5, 0.3 * whole.ending.seconds)
        outcome = place.run_from_cold(*command, kill_after=seconds if kills < _KILLS else None, limit=3600)
        resumed = [line.removeprefix("stylectl: ") for line in outcome.stderr.splitlines() if "resum" in line]
        if outcome.code != -signal.SIGKILL:
            break
        kills += 1
        lines.append(f"killed after {seconds:.1f} s; {'; '.join(resumed) or 'not resumed'}")
        if (place.work / "out.png").exists():
            fault = Fault("wrong", "there is an output before the run has ended")
            return Attempt("the killed run", "failed", (fault,), kills), lines
    faults = []
    if outcome.code != 0:
        faults.append(Fault("wrong", f"exit code {outcome.code}: {outcome.stderr[-300:]!r}"))
    else:
        found = sha256((place.work / "out.png").read_bytes()).hexdigest()
        lines.append(f"512 px, killed {kills} times: SHA-256 {found}")
        if found != expected:
            faults.append(Fault("wrong", "the killed run ended with other bits"))
    if kills < _KILLS:
        faults.append(Fault("wrong", f"the run ended after {kills} kills"))
    faults += [Fault("wrong", f"{name} was left behind") for name in place.left_over()]
    return Attempt("512 px", "finished" if outcome.code == 0 else "failed", tuple(faults), kills), lines
