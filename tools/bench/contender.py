"""What a program in a contest is told, and what it can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

#: What our own program is called among the contenders; the others have their peer's name.
OURSELVES = "stylectl"


@dataclass(frozen=True)
class Entry:
    """What one contender paints: two files, RGB with 8 bits, that have their sizes already, so that
    each program sees the same pixels. `job` is our own program's, as a table; the others leave it.
    Plain values: it travels as JSON."""

    program: str
    content: str
    style: str
    device: str
    threads: int
    job: Mapping[str, Any]


class Contender(ABC):
    """A program that paints, ready to begin its first iteration."""

    device: torch.device
    #: How it runs, beside the device.
    details: Mapping[str, str] = MappingProxyType({})

    @abstractmethod
    def step(self) -> float:
        """One iteration. Gives the loss that it found: in the first, that of the content image, as
        which every contender's picture begins."""
