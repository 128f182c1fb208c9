"""Attempts by kind and seed: each can be repeated alone."""

from __future__ import annotations

from random import Random

from .judge import Attempt, Fault
from .kinds import KINDS
from .place import Places


def attempted(kind: str, seed: int, number: int, places: Places) -> Attempt:
    """Make the attempt of a number; it depends on the kind, the seed and the number alone."""
    random = Random(f"{seed} {kind} {number}")
    with places.place() as place:
        return KINDS[kind].attempt(random, place)


def report(kind: str, seed: int, number: int, attempt: Attempt, fault: Fault) -> str:
    """Return a fault in words, with the command that repeats its attempt."""
    command = f"make campaign SEED={seed} CASE={kind}:{number}"
    return f"{fault.kind}: {fault.text}\n  in {attempt.what[:1000]!a}\n  again: {command}"
