"""The kinds of attempts: each is a function of a source of randomness and of the folders to use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from . import images, jobs, kills, networks, options, outputs
from .judge import Attempt
from .place import Place


@dataclass(frozen=True)
class Kind:
    """A kind of attempt: how it is made, its share of the time, its number in the small form."""

    attempt: Callable[[Random, Place], Attempt]
    share: int
    few: int


#: Kinds by name.
KINDS: Mapping[str, Kind] = {
    "images": Kind(images.attempt, share=4, few=12),
    "jobs": Kind(jobs.attempt_job, share=3, few=10),
    "manifests": Kind(jobs.attempt_manifest, share=2, few=5),
    "networks": Kind(networks.attempt_network, share=3, few=3),
    "weights": Kind(networks.attempt_weights, share=2, few=5),
    "options": Kind(options.attempt, share=2, few=10),
    "outputs": Kind(outputs.attempt, share=3, few=10),
    "kills": Kind(kills.attempt_kill, share=6, few=4),
    "signals": Kind(kills.attempt_signal, share=3, few=4),
}
