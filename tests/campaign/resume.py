"""A run of 512 px that is killed ten times, and ends with the bits of an undisturbed one."""

from __future__ import annotations

import signal
from hashlib import sha256
from random import Random

from .judge import Attempt, Fault
from .place import Outcome, Place

_KILLS = 10
#: Seconds that an undisturbed run may take.
_LIMIT = 3600
#: The sample pair with the whole of VGG-19, in all its scales.
_COMMAND = ("run", "--size", "512", "--iterations", "30", "--device", "cpu", "--metadata", "none")


def attempt(random: Random, place: Place) -> Attempt:
    """Kill the run ten times at random moments, and compare the SHA-256 of its file.

    Its processes start from cold, as a user starts them.
    """
    what = f"{' '.join(_COMMAND)}, killed {_KILLS} times"
    undisturbed = place.run_from_cold(*_COMMAND, "--no-checkpoint", "-o", "whole.png", limit=_LIMIT)
    if undisturbed.code != 0:
        return Attempt(what, "failed", (_failed(undisturbed),))
    seconds, expected = undisturbed.ending.seconds, _digest(place, "whole.png")
    notes = [f"undisturbed: {seconds:.0f} s, SHA-256 {expected}"]
    command = (*_COMMAND, "--checkpoint-every", "1s", "-o", "out.png")
    faults, kills = [], 0
    while kills < _KILLS:
        # The ten together are shorter than the run, so that none of them reaches its end.
        after = random.uniform(0, 0.15 * seconds)
        outcome = place.run_from_cold(*command, kill_after=after)
        if outcome.code != -signal.SIGKILL:
            faults.append(Fault("wrong", f"the run ended after {kills} kills"))
            break
        kills += 1
        notes.append(f"killed after {after:.1f} s; {_resumed(outcome)}")
        if (place.work / "out.png").exists():
            faults.append(Fault("wrong", "there is an output before the run has ended"))
    last = place.run_from_cold(*command, limit=_LIMIT)
    if last.code != 0:
        return Attempt(what, "failed", (*faults, _failed(last)), kills, notes=tuple(notes))
    found = _digest(place, "out.png")
    notes.append(f"killed {kills} times; {_resumed(last)}: SHA-256 {found}")
    if found != expected:
        faults.append(Fault("wrong", "the killed run ended with other bits"))
    faults += [Fault("wrong", f"{name} was left behind") for name in place.left_over()]
    return Attempt(what, "finished", tuple(faults), kills, notes=tuple(notes))


def _failed(outcome: Outcome) -> Fault:
    return Fault("wrong", f"exit code {outcome.code}: {outcome.stderr[-300:]!r}")


def _digest(place: Place, name: str) -> str:
    return sha256((place.work / name).read_bytes()).hexdigest()


def _resumed(outcome: Outcome) -> str:
    """Return what the run said of its resuming."""
    lines = [line.removeprefix("stylectl: ") for line in outcome.stderr.splitlines()]
    if not any(" px in " in line for line in lines):
        return "before its first step"
    return "; ".join(line for line in lines if "resum" in line) or "from the start"
