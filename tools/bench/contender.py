"""Interface of the programs in a contest: their input, and an iteration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

#: Name of stylectl among the contenders; the others have the name of their peer.
OURSELVES = "stylectl"


@dataclass(frozen=True)
class Entry:
    """Input of one contender.

    `content` and `style` are files, RGB with 8 bits, that have their final sizes, so that each
    program reads the same pixels. `job` is the table of stylectl's job, and `plugins_dir` has the
    folders of its plugins; the other programs ignore them. All values are plain, since an entry is
    sent as JSON.
    """

    program: str
    content: str
    style: str
    device: str
    threads: int
    job: Mapping[str, Any]
    plugins_dir: Sequence[str] = ()


class Contender(ABC):
    """Style transfer program that is ready to begin its first iteration."""

    device: torch.device
    #: Details of how it runs, beside the device.
    details: Mapping[str, str] = MappingProxyType({})

    @abstractmethod
    def step(self) -> float:
        """Do one iteration and return the loss that it evaluated.

        The first loss is that of the content image, from which every contender starts.
        """
