"""The one family of errors that stylectl raises on purpose.

Each message says what was wrong, with which file or option, and what to do. The command line prints
it in one line and leaves with the error's `exit_code`; anything else that escapes is a bug of ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class StylectlError(Exception):
    """Base of every error that stylectl raises on purpose."""

    exit_code = 1


class UsageError(StylectlError):
    """What was asked for makes no sense: an option, a job key, a name, a missing file."""

    exit_code = 2


class ImageError(StylectlError):
    """An image file that cannot be used: damaged, too large, too small, not an image."""


class WeightsError(StylectlError):
    """Network weights that cannot be used: wrong hash, wrong shapes, unsafe contents."""


class BackendError(StylectlError):
    """The backend cannot do what the job asks on this machine: no such device or precision."""


class OutputError(StylectlError):
    """A picture that cannot be written where it was asked to go."""


class MemoryLimitError(StylectlError):
    """The picture needs more memory than there is; the message says what size would fit."""


class NumericalError(StylectlError):
    """The loss left the finite numbers and smaller steps did not bring it back."""


class PluginError(StylectlError):
    """A plugin that broke its contract, or two that claim one name."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an "unknown name" message: the nearest known name, or all of them."""
    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}?"
    return "there is " + ", ".join(names) if names else "there is none"
