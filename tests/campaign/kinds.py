"""The kinds of attempts: each is a function of a source of randomness and of the folders to use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from . import kills, resume, videos
from .inputs import images, jobs, networks, options, paths, weights
from .judge import Attempt, Fault
from .place import Place, Places


@dataclass(frozen=True)
class Kind:
    """A kind of attempt: its share of the time, and its number in the tests.

    A kind without a share is made only if it is asked for.
    """

    attempt: Callable[[Random, Place], Attempt]
    share: int
    few: int = 0


#: Kinds by name.
KINDS: Mapping[str, Kind] = {
    "images": Kind(images.attempt_image, share=4, few=6),
    "masks": Kind(images.attempt_mask, share=3, few=4),
    "jobs": Kind(jobs.attempt_job, share=3, few=5),
    "metadata": Kind(jobs.attempt_metadata, share=2, few=4),
    "manifests": Kind(jobs.attempt_manifest, share=2, few=4),
    "networks": Kind(networks.attempt, share=3, few=3),
    "weights": Kind(weights.attempt, share=2, few=4),
    "options": Kind(options.attempt, share=3, few=6),
    "paths": Kind(paths.attempt_path, share=3, few=6),
    "names": Kind(paths.attempt_name, share=2, few=4),
    "kills": Kind(kills.attempt_kill, share=8, few=2),
    "signals": Kind(kills.attempt_signal, share=4, few=2),
    "videos": Kind(videos.attempt, share=3, few=1),
    "resume": Kind(resume.attempt, share=0),
}


def attempted(kind: str, seed: int, number: int, places: Places) -> Attempt:
    """Make the attempt of a number; it depends on the kind, the seed and the number alone."""
    random = Random(f"{seed} {kind} {number}")
    with places.place() as place:
        return KINDS[kind].attempt(random, place)


def report(kind: str, seed: int, number: int, attempt: Attempt, fault: Fault) -> str:
    """Return a fault in words, with the command that repeats its attempt."""
    command = f"python -m stylectl.tests.campaign --seed {seed} --case {kind}:{number}"
    return f"{fault.kind}: {fault.text}\n  in {attempt.what[:1000]!a}\n  again: {command}"
